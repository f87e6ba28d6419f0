#!/bin/sh
# Gets a VLC that speaks RTSP into .cache/vlc, unless the machine's own does.
#
# Debian 12 builds VLC without LIVE555, so it cannot open rtsp:// at all; Debian testing builds it with. Its packages
# are only unpacked, together with every library they need, and run by their own dynamic loader: nothing on the machine
# changes and no root is needed. apt checks their signatures as usual.
set -eu
cd "$(dirname "$0")/.."

target=.cache/vlc
packages="vlc-bin vlc-plugin-base vlc-plugin-access-extra"

fail() { printf '%s\n' "error: $*" >&2; exit 1; }

speaks_rtsp() { [ -n "$(find "$1" -name liblive555_plugin.so -print -quit 2>/dev/null)" ]; }

[ -d "$target" ] && exit 0
command -v vlc >/dev/null 2>&1 && speaks_rtsp /usr/lib && exit 0
command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 ||
    fail "the tests need a VLC that speaks RTSP (built with LIVE555), and this machine has none"

archive=$(apt-get indextargets --format '$(REPO_URI)' | grep -m1 '/debian/$') ||
    fail "this machine's apt knows no Debian archive to get VLC from"

echo "==> Getting VLC from Debian testing, for the tests only (90 MB)" >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
: >"$work/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive testing main" >"$work/sources.list"

apt_private() {
    apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$work/lists" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
        -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none "$@" </dev/null >&2
}
apt_private update
# shellcheck disable=SC2086 # package names are words
apt_private --yes --download-only --no-install-recommends install $packages

for package in "$work"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$work/root"
done
speaks_rtsp "$work/root/usr/lib" || fail "Debian testing's VLC does not speak RTSP any more"
chmod -R u+rwX,go+rX "$work/root"
mkdir -p .cache
mv "$work/root" "$target"
