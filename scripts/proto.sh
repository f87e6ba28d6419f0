#!/bin/sh
# Generates the Python code of the .proto files of mesh/wire/ below a folder: `.` for the repository, another to compare
# with.
#
# usage: scripts/proto.sh OUTPUT_FOLDER
set -eu
output=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."

protoc() {
    .venv/bin/python -m grpc_tools.protoc --proto_path=. --python_out="$output" --pyi_out="$output" "$@"
}

protoc --grpc_python_out="$output" mesh/wire/relay.proto
protoc mesh/wire/metrics.proto
