#!/usr/bin/env bash
# Damages data directories in every way, as often as told, and starts the server on each (compat/cases/damage_test.py).
#
#   scripts/damage_test.sh TRIALS [SEED]      in rounds of at most 500, the first with SEED (default: a random one), each next with one more
#
# The first round with a failure ends it; it names the trial and where its directory is kept. The binary: build/release/millrace, or $MILLRACE.
set -euo pipefail
cd "$(dirname "$0")/.."
trials=${1:?usage: scripts/damage_test.sh TRIALS [SEED]}
seed=${2:-$((RANDOM * 32768 + RANDOM))}
binary=${MILLRACE:-build/release/millrace}
python=python3; [ -x /usr/bin/python3 ] && python=/usr/bin/python3
left=$trials
while [ "$left" -gt 0 ]; do
  round=$((left < 500 ? left : 500))
  if ! MILLRACE_TRIALS=$round MILLRACE_SEED=$seed "$python" compat/cases/damage_test.py "$binary" Damage.test_damage; then
    echo "failed. To repeat one trial: MILLRACE_TRIAL=NUMBER MILLRACE=$binary scripts/damage_test.sh 1 $seed" >&2
    exit 1
  fi
  left=$((left - round))
  seed=$((seed + 1))
done
echo "$trials damages, none believed"
