#!/bin/sh
# The programs that the integration tests use as peers, and the Debian packages that bring them.
#
# Each line of `tools` is a package, a check that succeeds when the machine has what the tests need of it, and what
# that is. What is missing is installed when this may use apt-get (root, or sudo without a password); otherwise it is
# listed and the script fails. Nothing is skipped: a test that cannot run is a failure.
set -eu

tools() {
    cat <<'END'
python3-venv|has_venv|a Python 3.11 that can make virtual environments
ffmpeg|command -v ffmpeg && command -v ffprobe|ffmpeg and ffprobe
iproute2|command -v ip && command -v ss|ip and ss, for network namespaces and open sockets
curl|command -v curl|curl
gstreamer1.0-tools|command -v gst-launch-1.0 && command -v gst-inspect-1.0|gst-launch-1.0
gstreamer1.0-plugins-base|has_elements videoconvert audioconvert playbin|GStreamer's base elements
gstreamer1.0-plugins-good|has_elements rtspsrc rtph264depay rtpmp4gdepay qtdemux aacparse|GStreamer's RTSP source
gstreamer1.0-plugins-bad|has_elements h264parse checksumsink|GStreamer's H.264 parser and checksum sink
gstreamer1.0-rtsp|has_elements rtspclientsink|GStreamer's RTSP publisher
gstreamer1.0-libav|has_elements avdec_h264 avdec_aac|GStreamer's H.264 and AAC decoders
python3-gi|/usr/bin/python3 -c 'import gi'|GStreamer's Python binding
gir1.2-gst-rtsp-server-1.0|has_rtsp_server|gst-rtsp-server, used from /usr/bin/python3
END
}

has_venv() {
    for python in python3.11 python3; do
        "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' && return 0
    done
    return 1
}

has_elements() {
    for element in "$@"; do
        gst-inspect-1.0 --exists "$element" || return 1
    done
}

has_rtsp_server() {
    /usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0"); from gi.repository import GstRtspServer'
}

missing() {
    tools | while IFS='|' read -r package check purpose; do
        eval "$check" >/dev/null 2>&1 </dev/null || printf '%s|%s\n' "$package" "$purpose"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then env "$@"; else sudo -n env "$@"; fi
}

may_install() {
    command -v apt-get >/dev/null 2>&1 && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

install() {
    echo "==> Installing system packages for the tests:" "$@" >&2
    as_root apt-get update -qq </dev/null
    as_root DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "$@" </dev/null >/dev/null
}

fail_listing() {
    echo "error: the tests need programs that this machine lacks:" >&2
    echo "$1" | while IFS='|' read -r package purpose; do echo "  $purpose (Debian: $package)" >&2; done
    echo "On Debian 12, as root: apt-get install --no-install-recommends" $(echo "$1" | cut -d'|' -f1) >&2
    exit 1
}

found=$(missing)
if [ -n "$found" ] && may_install; then
    # shellcheck disable=SC2046 # package names are words
    install $(echo "$found" | cut -d'|' -f1)
    found=$(missing)
fi
[ -z "$found" ] || fail_listing "$found"

if ! unshare --net true 2>/dev/null && ! unshare --user --map-root-user --net true 2>/dev/null; then
    echo "error: the tests need network namespaces: run as root, or allow user namespaces" \
        "(sysctl kernel.unprivileged_userns_clone=1)" >&2
    exit 1
fi
