#!/usr/bin/env bash
# Kills the server with SIGKILL under load, as often as told, and compares what its processors made of their input with an independent computation
# (compat/cases/crash_test.py).
#
#   scripts/crash_test.sh KILLS [SEED]      KILLS in rounds of at most 50, the first with SEED (default: a random one), each next with one more
#
# The first round that fails ends it, and the line to repeat that round is printed. The binary: build/release/millrace, or $MILLRACE.
set -euo pipefail
cd "$(dirname "$0")/.."
kills=${1:?usage: scripts/crash_test.sh KILLS [SEED]}
seed=${2:-$((RANDOM * 32768 + RANDOM))}
binary=${MILLRACE:-build/release/millrace}
python=python3; [ -x /usr/bin/python3 ] && python=/usr/bin/python3
left=$kills
while [ "$left" -gt 0 ]; do
  round=$((left < 50 ? left : 50))
  if ! MILLRACE_KILLS=$round MILLRACE_SEED=$seed "$python" compat/cases/crash_test.py "$binary"; then
    echo "failed. To repeat: MILLRACE=$binary scripts/crash_test.sh $round $seed" >&2
    exit 1
  fi
  left=$((left - round))
  seed=$((seed + 1))
done
echo "$kills kills, nothing lost, doubled or altered"
