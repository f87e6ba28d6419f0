"""A camera made of gst-rtsp-server: serves one clip, over and over, to every session from its first frame.

Run by the system's Python, which has GStreamer's binding: `/usr/bin/python3 gst_camera_server.py --help`. What happens
is told on standard output, one JSON object a line, starting with `{"event": "listening", "port": …}`. It ends when its
standard input does, so it never outlives the test that started it.

The clip is read once into access units and audio frames; each session then gets them with timestamps that go on
rising, which a file source that seeks back to its start would not give.
"""

from __future__ import annotations

import argparse
import json
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402

AAC_FRAME_SAMPLES = 1024

READERS = {
    "video": "h264parse ! video/x-h264,stream-format=byte-stream,alignment=au",
    "aac": "aacparse ! audio/mpeg,stream-format=raw",
    "pcmu": "audio/x-mulaw",
}
PAYLOADERS = {
    "video": "h264parse ! rtph264pay config-interval=-1",
    "aac": "rtpmp4gpay",
    "pcmu": "rtppcmupay",
}
AUTH = {"basic": GstRtsp.RTSPAuthMethod.BASIC, "digest": GstRtsp.RTSPAuthMethod.DIGEST}
VIEWER = "viewer"
PROTOCOLS = {
    "udp": GstRtsp.RTSPLowerTrans.UDP,
    "tcp": GstRtsp.RTSPLowerTrans.TCP,
    "multicast": GstRtsp.RTSPLowerTrans.UDP_MCAST,
}
# What it sends to where it is asked for multicast: first and last group, ports, time to live.
GROUPS = ("239.88.0.1", "239.88.0.9", 5000, 5009, 4)


class Track:
    """The frames of one stream of the clip and their durations, to be repeated without end."""

    def __init__(self, clip: str, pad: str, kind: str) -> None:
        self.kind = kind
        self.frames: list[bytes] = []
        pipeline = Gst.parse_launch(
            f'filesrc location="{clip}" ! matroskademux name=demux '
            f"demux.{pad}_0 ! queue ! {READERS[kind]} ! appsink name=sink sync=false"
        )
        sink = pipeline.get_by_name("sink")
        pipeline.set_state(Gst.State.PLAYING)
        while (sample := sink.pull_sample()) is not None:
            self.caps = sample.get_caps()
            buffer = sample.get_buffer()
            self.frames.append(buffer.extract_dup(0, buffer.get_size()))
        pipeline.set_state(Gst.State.NULL)
        if not self.frames:
            raise SystemExit(f"no {kind} in {clip}")

    def duration(self, frame: bytes) -> int:
        """How long a frame lasts, in nanoseconds: Matroska's own durations are rounded to milliseconds."""
        structure = self.caps.get_structure(0)
        if self.kind == "video":
            _, numerator, denominator = structure.get_fraction("framerate")
            return int(Gst.SECOND * denominator // numerator)
        samples = AAC_FRAME_SAMPLES if self.kind == "aac" else len(frame)
        return int(Gst.SECOND * samples // structure.get_int("rate")[1])

    def launch(self, index: int) -> str:
        return (
            f"appsrc name=source{index} is-live=false format=time block=true max-bytes=100000 "
            f"! {PAYLOADERS[self.kind]} name=pay{index} pt={96 + index}"
        )

    def feed(self, source: GstApp.AppSrc) -> None:
        source.set_caps(self.caps)
        position = [0, 0]  # the next frame and its time, in nanoseconds

        def push(appsrc: GstApp.AppSrc, _length: int) -> None:
            data = self.frames[position[0] % len(self.frames)]
            duration = self.duration(data)
            buffer = Gst.Buffer.new_wrapped(data)
            buffer.pts = buffer.dts = position[1]
            buffer.duration = duration
            position[0] += 1
            position[1] += duration
            appsrc.emit("push-buffer", buffer)

        source.connect("need-data", push)


def tell(**event: object) -> None:
    sys.stdout.write(f"{json.dumps(event)}\n")  # in one piece: events come from several threads
    sys.stdout.flush()


def factory_for(tracks: list[Track], protocols: list[str]) -> GstRtspServer.RTSPMediaFactory:
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch("( " + " ".join(track.launch(index) for index, track in enumerate(tracks)) + " )")
    allowed = GstRtsp.RTSPLowerTrans(0)
    for name in protocols:
        allowed |= PROTOCOLS[name]
    factory.set_protocols(allowed)
    if "multicast" in protocols:
        pool = GstRtspServer.RTSPAddressPool()
        pool.add_range(*GROUPS)
        factory.set_address_pool(pool)

    def configure(_factory: object, media: GstRtspServer.RTSPMedia) -> None:
        for index, track in enumerate(tracks):
            track.feed(media.get_element().get_by_name(f"source{index}"))

    factory.connect("media-configure", configure)
    return factory


def guard_for(user: str, password: str, method: str) -> GstRtspServer.RTSPAuth:
    """Lets in who knows the password; anybody, if there is none."""
    guard = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, VIEWER)
    if not user:
        guard.set_default_token(token)
    elif method == "basic":
        guard.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    else:
        guard.add_digest(user, password, token)
    guard.set_supported_methods(AUTH[method])
    return guard


def allow_viewers(factory: GstRtspServer.RTSPMediaFactory) -> None:
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_role_from_structure(
        Gst.Structure.from_string(
            f"{VIEWER}, {GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS}=(boolean)true,"
            f" {GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT}=(boolean)true"
        )[0]
    )
    factory.set_permissions(permissions)


def report_client(_server: object, client: GstRtspServer.RTSPClient) -> None:
    tell(event="connected", address=client.get_connection().get_ip())
    for request in ("describe", "setup", "play", "pause", "teardown"):
        client.connect(f"{request}-request", lambda _client, _context, name=request: tell(event=name))
    client.connect("closed", lambda _client: tell(event="closed"))


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--clip", required=True)
    options.add_argument("--audio", choices=("aac", "pcmu"), default="aac")
    options.add_argument("--path", default="/stream")
    options.add_argument("--address", default="127.0.0.1")
    options.add_argument("--port", default="0")
    options.add_argument("--protocols", default="udp,tcp")
    options.add_argument("--lasting", action="store_true", help="sessions outlive the connections that made them")
    options.add_argument("--user", default="", help="NAME:PASSWORD")
    options.add_argument("--auth", choices=AUTH, default="digest")
    options.add_argument("--certificate", help="PEM file; it is TLS then")
    options.add_argument("--key")
    chosen = options.parse_args()

    Gst.init(None)
    tracks = [Track(chosen.clip, "video", "video"), Track(chosen.clip, "audio", chosen.audio)]
    server = GstRtspServer.RTSPServer()
    server.set_address(chosen.address)
    server.set_service(chosen.port)
    factory = factory_for(tracks, chosen.protocols.split(","))
    factory.set_stop_on_disconnect(not chosen.lasting)
    allow_viewers(factory)
    server.get_mount_points().add_factory(chosen.path, factory)
    user, _, password = chosen.user.partition(":")
    guard = guard_for(user, password, chosen.auth)
    if chosen.certificate:
        guard.set_tls_certificate(Gio.TlsCertificate.new_from_files(chosen.certificate, chosen.key))
    server.set_auth(guard)
    server.connect("client-connected", report_client)
    server.attach(None)
    tell(event="listening", port=server.get_bound_port())

    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IOCondition.HUP, lambda *_: loop.quit())
    loop.run()


if __name__ == "__main__":
    main()
