"""How fast the protocol's own code is: messages read and written, descriptions read, frames of media followed."""

from __future__ import annotations

import time
from collections.abc import Callable

from rtsp_filter.rtsp import (
    Headers,
    InterleavedChunk,
    Method,
    Parser,
    Request,
    Response,
    SessionDescription,
    encode_frame,
)
from tests.bench.figures import Figure, Result, median

_PAYLOAD = 1_200
# Bytes that a read gives at high rates.
_READ = 256 * 1024
_SETUP = Request(
    method=Method.SETUP,
    url="rtsp://192.0.2.7:8554/site/gate/camera-1/trackID=0",
    headers=Headers(
        [
            ("CSeq", "3"),
            ("User-Agent", "Lavf61.7.100"),
            ("Transport", "RTP/AVP/UDP;unicast;client_port=17062-17063"),
            ("Session", "6a9cd63f1e3b8f20"),
        ]
    ),
)
_DESCRIPTION = b"""v=0
o=- 1717430918 1 IN IP4 192.0.2.7
s=Media Presentation
c=IN IP4 0.0.0.0
t=0 0
a=control:*
a=range:npt=0-
m=video 0 RTP/AVP 96
b=AS:5000
a=control:trackID=0
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1;profile-level-id=640028;sprop-parameter-sets=Z2QAKKwbGoB4AiflwFuAgICgAAB9AAAd,aO48sA==
a=framerate:25.0
m=audio 0 RTP/AVP 97
b=AS:50
a=control:trackID=1
a=rtpmap:97 MPEG4-GENERIC/48000/2
a=fmtp:97 streamtype=5;mode=AAC-hbr;sizeLength=13;indexLength=3;indexDeltaLength=3;config=1190
""".replace(b"\n", b"\r\n")
_DESCRIBED = Response(
    status=200,
    reason="OK",
    headers=Headers(
        [
            ("CSeq", "2"),
            ("Content-Base", "rtsp://192.0.2.7:8554/site/gate/camera-1/"),
            ("Content-Type", "application/sdp"),
            ("Content-Length", str(len(_DESCRIPTION))),
        ]
    ),
    body=_DESCRIPTION,
)


def run(quick: bool) -> Result:
    """Each piece in a loop, on one core."""
    rounds, seconds = (1, 0.05) if quick else (5, 0.5)

    def figure(what: str, unit: str, work: Callable[[], float], scale: float = 1.0) -> Figure:
        return Figure(what=what, unit=unit, mesh=median([_rate(work, seconds) for _ in range(rounds)]) * scale)

    return Result(
        name="messages",
        title="Messages and frames",
        method=(
            f"The protocol's code alone, in a loop of {seconds:g} s of processor time; medians of {rounds}. A SETUP as"
            f" ffmpeg writes it; the answer to a DESCRIBE with a description of two tracks; frames of {_PAYLOAD} bytes"
            " in reads of 256 KiB, which is the share that a forwarder of TCP has beside the kernel. What bounds all"
            " of it is Python: a message is some hundred steps of the interpreter, a frame about ten."
        ),
        figures=(
            figure("SETUP: read", "messages/s", _reader(_SETUP.encode())),
            figure("SETUP: written", "messages/s", _writer(_SETUP)),
            figure("Answer to DESCRIBE: read", "messages/s", _reader(_DESCRIBED.encode())),
            figure("Answer to DESCRIBE: written", "messages/s", _writer(_DESCRIBED)),
            figure("Session description: read", "descriptions/s", _description_read),
            figure("Frames, as they are", "million frames/s", _follower(None), 1e-6),
            figure("Frames, channels translated", "million frames/s", _follower(bytes(range(256))), 1e-6),
        ),
    )


def _rate(work: Callable[[], float], seconds: float) -> float:
    """What `work` does in a second of processor time; it gives how much it did."""
    done = 0.0
    start = time.process_time()
    while (elapsed := time.process_time() - start) < seconds:
        done += work()
    return done / elapsed


def _reader(message: bytes) -> Callable[[], float]:
    parser = Parser()

    def read() -> float:
        parser.receive_data(message)
        assert parser.next_event() is not None
        return 1

    return read


def _writer(message: Request | Response) -> Callable[[], float]:
    def write() -> float:
        return 1 if message.encode() else 0

    return write


def _description_read() -> float:
    description = SessionDescription.parse(_DESCRIPTION)
    assert [media.control for media in description.media] == ["trackID=0", "trackID=1"]
    return 1


def _follower(channels: bytes | None) -> Callable[[], float]:
    frames = encode_frame(0, bytes(_PAYLOAD)) * (4 * _READ // _PAYLOAD)
    reads = [bytearray(frames[at : at + _READ]) for at in range(0, len(frames), _READ)]
    parser = Parser()
    parser.translate_channels(channels)

    def follow() -> float:
        count = 0
        for read in reads:
            parser.receive_data(read)
            while isinstance(chunk := parser.next_event(), InterleavedChunk):
                count += chunk.frames
        return count

    return follow
