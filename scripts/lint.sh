#!/bin/sh
# Formatting, style, types and import contracts: everything about the code that needs no run of it.
set -eu
cd "$(dirname "$0")/.."
bin=.venv/bin

$bin/ruff check
$bin/ruff format --check
$bin/mypy
$bin/lint-imports
