"""A player made of GStreamer: prints an MD5 sum of every decoded picture, and writes the sound to a file.

Run by the system's Python, which has GStreamer's binding: `/usr/bin/python3 gst_player.py --help`. `gst-launch-1.0`
will not do: when both streams begin at once, it may link one to the other's decoder, and then plays nothing.
"""

from __future__ import annotations

import argparse
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

PIPELINE = (
    "rtspsrc name=source "
    "rtph264depay name=video ! h264parse ! avdec_h264 ! videoconvert ! video/x-raw,format=I420 "
    "! checksumsink hash=md5 sync=false "
    "decodebin name=audio ! audioconvert ! audio/x-raw,format=S16LE "
    "! filesink name=sound buffer-mode=unbuffered sync=false"
)


class Player:
    """Plays until it is interrupted, or something fails."""

    def __init__(self, *, location: str, protocols: str, version: str, sound: str) -> None:
        self.failed = False
        self.loop = GLib.MainLoop()
        self._media: dict[int, str] = {}
        self._pipeline = Gst.parse_launch(PIPELINE)
        self._pipeline.get_by_name("sound").set_property("location", sound)
        source = self._pipeline.get_by_name("source")
        source.set_property("location", location)
        source.set_property("tls-validation-flags", 0)
        Gst.util_set_object_arg(source, "default-rtsp-version", version)
        if protocols:
            Gst.util_set_object_arg(source, "protocols", protocols)
        source.connect("select-stream", self._described)
        source.connect("pad-added", self._linked)
        bus = self._pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self._stopped)
        bus.connect("message::eos", self._stopped)

    def run(self) -> None:
        self._pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        self._pipeline.set_state(Gst.State.NULL)

    def _described(self, _source: Gst.Element, number: int, caps: Gst.Caps) -> bool:
        self._media[number] = caps.get_structure(0).get_string("media")
        return True

    def _linked(self, _source: Gst.Element, pad: Gst.Pad) -> None:
        """The first number in a pad's name is its stream's."""
        number = next(int(part) for part in pad.get_name().split("_") if part.isdigit())
        pad.link(self._pipeline.get_by_name(self._media[number]).get_static_pad("sink"))

    def _stopped(self, _bus: Gst.Bus, message: Gst.Message) -> None:
        if message.type == Gst.MessageType.ERROR:
            self.failed = True
            print(*message.parse_error(), file=sys.stderr)
        self.loop.quit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("location")
    parser.add_argument("--protocols", default="", help="as rtspsrc has them: udp, tcp; else the URL says")
    parser.add_argument("--rtsp-version", default="1-0", help="as rtspsrc has them: 1-0, 2-0")
    parser.add_argument("--sound", required=True, help="file for the decoded sound, S16LE")
    arguments = parser.parse_args()
    Gst.init(None)
    player = Player(
        location=arguments.location,
        protocols=arguments.protocols,
        version=arguments.rtsp_version,
        sound=arguments.sound,
    )
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGINT, player.loop.quit)
    player.run()
    sys.exit(player.failed)


if __name__ == "__main__":
    main()
