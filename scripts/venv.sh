#!/bin/sh
# Makes .venv hold what a requirements file lists and this project, and does nothing when it already does.
#
# usage: scripts/venv.sh requirements.txt | requirements-dev.txt
#
# A stamp in .venv records what was installed: the requirements, pyproject.toml, the folder and the interpreter.
# Changing any of them installs again; a folder that was moved would otherwise keep scripts that name its old place.
set -eu
cd "$(dirname "$0")/.."

wanted=$1
venv=.venv

say() { printf '%s\n' "==> $*" >&2; }
fail() { printf '%s\n' "error: $*" >&2; exit 1; }

find_python() {
    for candidate in python3.11 python3 python3.12 python3.13; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed. On Debian 12: apt-get install python3 python3-venv"
}

fingerprint() {
    { echo "$1" "$PWD"; "$venv/bin/python" --version; cat requirements.txt "$1" pyproject.toml; } 2>&1 |
        sha256sum | cut -d' ' -f1
}

pip_install() { "$venv/bin/python" -u -m pip install --disable-pip-version-check --no-input "$@"; }

# What of pip's output says how far it is: every tenth of so many packages.
progress() {
    packages=0
    while IFS= read -r line; do
        case $line in
        Collecting*)
            packages=$((packages + 1))
            [ $((packages % 10)) -ne 0 ] || say "$packages of $1 packages are there"
            ;;
        Installing*) say "Unpacking them" ;;
        esac
    done
}

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$python cannot make virtual environments. On Debian: apt-get install python3-venv"
    say "Making the virtual environment $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi

stamp="$venv/installed-$wanted"
current=$(fingerprint "$wanted")
if [ "$(cat "$stamp" 2>/dev/null)" = "$current" ]; then
    exit 0
fi

count=$(cat requirements.txt "$wanted" | sort -u | grep -c ==)
say "Installing $count pinned packages, which takes a minute or two (only when $wanted changes)"
# A pipe's status is that of its last command, so a file tells that pip went well.
rm -f "$stamp"
{ pip_install --progress-bar off -r "$wanted" && : >"$stamp"; } | progress "$count"
[ -e "$stamp" ] || fail "pip could not install the packages"
say "Installing this project into $venv"
pip_install --quiet --no-deps --no-build-isolation -e .
echo "$current" >"$stamp"
# The requirements for development include those for running.
fingerprint requirements.txt >"$venv/installed-requirements.txt"
