"""RTP and RTCP packets, and a track that receives nothing but what is sent here."""

from __future__ import annotations

from rtsp_filter.player.track import TrackReceiver
from rtsp_filter.rtp import RTPError, RTPPacket, parse_compound, parse_header, serialize_compound

# In the input of `track`, what stands between two packets; the byte behind it says which port and how much later.
BETWEEN = b"\xfe\xfe"
RTCP_BIT = 1


def rtp(data: bytes) -> None:
    """A packet is written as it was read, but for what its padding holds; both readers agree."""
    try:
        packet = RTPPacket.parse(data)
    except RTPError:
        return
    header = parse_header(data)
    fields = (packet.payload_type, packet.marker, packet.sequence, packet.timestamp, packet.ssrc)
    assert tuple(header) == fields
    written = packet.serialize()
    assert len(written) == len(data)
    assert RTPPacket.parse(written) == packet


def rtcp(data: bytes) -> None:
    """A compound is understood the same once it was written anew."""
    try:
        packets = parse_compound(data)
    except RTPError:
        return
    assert parse_compound(serialize_compound(packets)) == packets


def track(data: bytes) -> None:
    """A receiver takes anything, and its reports are always RTCP."""
    receiver = TrackReceiver(media="video", codec="H264", clock_rate=90_000, ssrc=1, cname="me")
    now = 0.0
    for piece in data.split(BETWEEN):
        now += (piece[0] if piece else 0) / 64
        if piece[:1] and piece[0] & RTCP_BIT:
            receiver.rtcp_received(piece[1:], now)
        else:
            receiver.rtp_received(piece[1:], now)
        assert parse_compound(receiver.receiver_report(now))
    report = receiver.report(now)
    assert min(report.packets, report.bitrate_bps, report.duplicates, report.malformed) >= 0
