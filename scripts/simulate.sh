#!/usr/bin/env bash
# Runs the simulation (tests/simulation): a stream processor in a world of faults and crashes that one seed decides, compared with an
# independent computation over the same input.
#
#   scripts/simulate.sh [COUNT] [FIRST_SEED]      COUNT seeds (5000) from FIRST_SEED on (a random one)
#   scripts/simulate.sh --seed SEED --trace       one seed again, with everything that happens; other options: --help
#
# Each seed that fails is printed, and how to repeat it. The binary: build/release/tests/simulation/simulation, or $SIMULATION.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${SIMULATION:-build/release/tests/simulation/simulation}
if [ ! -x "$binary" ]; then
  cmake --preset release >/dev/null
  cmake --build --preset release --target simulation
fi
if [[ ${1:-} == --* ]]; then
  exec "$binary" "$@"
fi
count=${1:-5000}
first=${2:-$((RANDOM * 32768 + RANDOM + 1))}
if ! "$binary" --seeds "$count" --first "$first" --jobs "$(nproc)"; then
  echo "failed. To repeat a seed: scripts/simulate.sh --seed SEED --trace" >&2
  exit 1
fi
