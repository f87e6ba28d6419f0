#!/bin/sh
# All checks and tests, from nothing: system tools, virtual environment, lint, pytest. Ends with pytest's summary.
set -eu
cd "$(dirname "$0")/.."

sh scripts/system_packages.sh
sh scripts/vlc.sh
sh scripts/venv.sh requirements-dev.txt
sh scripts/envoy.sh
sh scripts/lint.sh
exec .venv/bin/python -m pytest
