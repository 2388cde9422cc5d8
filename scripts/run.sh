#!/usr/bin/env bash
# Installs what is missing, builds a release and serves on mongodb://127.0.0.1:27030. Options go to the server: scripts/run.sh --port 27040
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh build
cmake --preset release -DMILLRACE_WERROR=OFF -DMILLRACE_TESTS=OFF >/dev/null
cmake --build --preset release --target millrace
cat <<'TEXT'

A ready-made processor, solarDemo, is running (leave it out with --no-demo). Paste into mongosh "mongodb://127.0.0.1:27030":

    sp.process([{ $source: { connectionName: "sample_stream_solar" } }])
    sp.solarDemo.stats()
    db.getSiblingDB("demo").solar.find().sort({ _id: -1 }).limit(3)

TEXT
exec build/release/millrace serve "$@"
