#!/usr/bin/env bash
# Installs what the tests need, builds, and runs them all: the unit and data cases under the sanitizers, then everything on a release
# build, with real clients and real servers where they can be had.
#   scripts/test.sh [ctest options]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh test
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
jobs=$(nproc)

# The shells and drivers of the end-to-end tests; without them these tests are skipped, each with a line that says so.
if command -v npm >/dev/null && [ ! -d compat/node_modules/mongosh ]; then
  (cd compat && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error) || echo "test: npm could not install mongosh; its tests are skipped" >&2
fi

cmake --preset release >/dev/null
cmake --build --preset release -j "$jobs"
cmake --preset asan >/dev/null
cmake --build --preset asan -j "$jobs"
cmake --preset tsan >/dev/null
cmake --build --preset tsan -j "$jobs" --target concurrent_tests

# Sanitized runs first: the summary of the whole comes last.
ctest --preset asan -LE "end-to-end|compat|bench" --no-tests=error -j "$jobs"
ctest --preset tsan -L concurrent --no-tests=error -j "$jobs"
ctest --preset release --no-tests=error "$@"
