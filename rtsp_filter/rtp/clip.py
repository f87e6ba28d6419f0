"""The bundled clip: a video and an audio track, cut into RTP payloads once, to be sent by any number of sessions.

Both tracks last exactly as long as each other, so that the clip can be repeated for ever: access unit `n` of a track
is unit `n % len(units)`, later by one duration for every time round. A sender adds only the headers.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from typing import ClassVar

from rtsp_filter.rtp import aac, h264
from rtsp_filter.rtp.errors import RTPError
from rtsp_filter.rtp.payload import Payload

PAYLOAD_SIZE = 1_188
"""Bytes. With the RTP header a datagram of 1,200, which fits every path and tunnel in use."""

FRAME_RATE = 25
"""Video frames a second of the bundled clip; an Annex B stream does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessUnit:
    """What is presented at one time: a picture, or an audio frame. `pts` in clock units from the clip's start."""

    pts: int
    payloads: tuple[Payload, ...]
    key_frame: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipTrack:
    """One track. `clock_rate` in Hz, `duration` in clock units.

    `sdp_lines` is its SDP media description (RFC 8866) from `m=` on; the control attribute is the server's to add.
    """

    media: str
    payload_type: int
    clock_rate: int
    duration: int
    units: tuple[AccessUnit, ...]
    sdp_lines: tuple[str, ...]

    def unit(self, number: int) -> tuple[int, AccessUnit]:
        """Access unit `number`, counted for ever from 0, and its pts counted on over the repetitions."""
        times_round, index = divmod(number, len(self.units))
        unit = self.units[index]
        return times_round * self.duration + unit.pts, unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Tracks of one length, `duration` seconds."""

    VIDEO_PAYLOAD_TYPE: ClassVar[int] = 96
    AUDIO_PAYLOAD_TYPE: ClassVar[int] = 97

    tracks: tuple[ClipTrack, ...]
    duration: float

    @classmethod
    def load(cls, payload_size: int = PAYLOAD_SIZE) -> Clip:
        """The bundled clip in payloads of at most `payload_size` bytes. Reads two files; takes tens of ms."""
        folder = files("rtsp_filter") / "camera" / "clip"
        return cls.parse(
            video=(folder / "clip.h264").read_bytes(),
            audio=(folder / "clip.aac").read_bytes(),
            payload_size=payload_size,
        )

    @classmethod
    def parse(cls, *, video: bytes, audio: bytes, payload_size: int = PAYLOAD_SIZE) -> Clip:
        """A clip of Annex B `video` at FRAME_RATE and ADTS `audio`.

        Raises RTPError when one is malformed or their lengths differ.
        """
        tracks = (_video_track(video, payload_size), _audio_track(audio, payload_size))
        durations = [Fraction(track.duration, track.clock_rate) for track in tracks]
        if durations[0] != durations[1]:
            raise RTPError(f"video lasts {float(durations[0])} s, audio {float(durations[1])} s; they must be equal")
        return cls(tracks=tracks, duration=float(durations[0]))


def _video_track(stream: bytes, payload_size: int) -> ClipTrack:
    nals = h264.split_annex_b(stream)
    frame_duration = h264.CLOCK_RATE // FRAME_RATE
    units = tuple(
        AccessUnit(
            pts=index * frame_duration,
            payloads=h264.packetize(unit, payload_size),
            key_frame=any(h264.nal_type(nal) == h264.NALType.IDR_SLICE for nal in unit),
        )
        for index, unit in enumerate(h264.group_access_units(nals))
    )
    return ClipTrack(
        media="video",
        payload_type=Clip.VIDEO_PAYLOAD_TYPE,
        clock_rate=h264.CLOCK_RATE,
        duration=len(units) * frame_duration,
        units=units,
        sdp_lines=_video_sdp(nals),
    )


def _video_sdp(nals: list[bytes]) -> tuple[str, ...]:
    number = Clip.VIDEO_PAYLOAD_TYPE
    sps = _first(nals, h264.NALType.SPS)
    pps = _first(nals, h264.NALType.PPS)
    sets = ",".join(b64encode(nal).decode() for nal in (sps, pps))
    level = sps[1:4].hex().upper()
    return (
        f"m=video 0 RTP/AVP {number}",
        f"a=rtpmap:{number} H264/{h264.CLOCK_RATE}",
        f"a=fmtp:{number} packetization-mode=1;profile-level-id={level};sprop-parameter-sets={sets}",
        f"a=framerate:{FRAME_RATE}",
    )


def _first(nals: list[bytes], kind: h264.NALType) -> bytes:
    for nal in nals:
        if h264.nal_type(nal) == kind:
            return nal
    raise RTPError(f"no {kind.name} in the H.264 byte stream")


def _audio_track(stream: bytes, payload_size: int) -> ClipTrack:
    parsed = aac.parse_adts(stream)
    number = Clip.AUDIO_PAYLOAD_TYPE
    units = tuple(
        AccessUnit(
            pts=index * aac.SAMPLES_PER_FRAME,
            payloads=aac.packetize(frame, payload_size),
            key_frame=True,
        )
        for index, frame in enumerate(parsed.frames)
    )
    return ClipTrack(
        media="audio",
        payload_type=number,
        clock_rate=parsed.sample_rate,
        duration=len(units) * aac.SAMPLES_PER_FRAME,
        units=units,
        sdp_lines=(
            f"m=audio 0 RTP/AVP {number}",
            f"a=rtpmap:{number} MPEG4-GENERIC/{parsed.sample_rate}/{parsed.channels}",
            f"a=fmtp:{number} streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength={aac.SIZE_LENGTH};"
            f"indexlength={aac.INDEX_LENGTH};indexdeltalength={aac.INDEX_DELTA_LENGTH};config={parsed.config.hex()}",
        ),
    )
