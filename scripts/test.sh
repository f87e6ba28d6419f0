#!/bin/sh
# All checks and tests, from nothing: system tools, virtual environment, lint, pytest. Ends with pytest's summary.
set -eu
cd "$(dirname "$0")/.."

sh scripts/system_packages.sh
sh scripts/vlc.sh
sh scripts/venv.sh requirements-dev.txt
sh scripts/envoy.sh
sh scripts/lint.sh
# Most tests wait for real peers most of the time. Each worker's tests take ports of their own (tests/peers/ports.py), of
# which there are enough for some workers.
exec .venv/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal
