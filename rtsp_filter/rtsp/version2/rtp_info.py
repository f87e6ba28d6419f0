"""The RTP-Info header of RTSP 2.0 (RFC 7826, 18.45): numbers belong to an SSRC, and URLs are quoted."""

from __future__ import annotations

import re
from collections.abc import Callable

from rtsp_filter.rtsp.rtp_info import RTPInfo, encode_rtp_info, parse_rtp_info

_ENTRY = re.compile(r'url\s*=\s*"([^"]*)"\s*(?:ssrc\s*=\s*[0-9a-f]+\s*:\s*([^,]*))?', re.IGNORECASE)


def rtp_info_to_1(value: str) -> str:
    """As RTSP 1.0 has it; of several SSRCs of a stream, the first. GStreamer's, which is that of 1.0, stays."""
    entries = [f"url={found[1]}{_numbers(found[2])}" for found in _ENTRY.finditer(value)]
    return encode_rtp_info(parse_rtp_info(",".join(entries))) if entries else value


def rtp_info_to_2(value: str, ssrc_of: Callable[[str], int | None]) -> str | None:
    """As RTSP 2.0 has it; None where nothing is left. `ssrc_of` knows the SSRC of a stream's URL: entries of which it
    is not known cannot be said."""
    known = ((entry, ssrc_of(entry.url)) for entry in parse_rtp_info(value))
    entries = [_encode(entry, ssrc) for entry, ssrc in known if ssrc is not None]
    return ", ".join(entries) or None


def _numbers(text: str | None) -> str:
    # A second SSRC of the stream follows after a blank.
    first = (text or "").split()
    return f";{first[0]}" if first else ""


def _encode(entry: RTPInfo, ssrc: int) -> str:
    numbers = [("seq", entry.seq), ("rtptime", entry.rtptime)]
    said = ";".join(f"{name}={number}" for name, number in numbers if number is not None)
    return f'url="{entry.url}" ssrc={ssrc:08X}:{said}'
