"""The RTP-Info header (RFC 2326, 12.33): where in sequence and time each track starts.

Servers leave out parts of it, and put URLs in it that contain commas and semicolons.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

_NEXT_ENTRY = re.compile(r",\s*(?=url\s*=)", re.IGNORECASE)
_NEXT_PARAMETER = re.compile(r";\s*(?=(?:seq|rtptime|ssrc)\s*=)", re.IGNORECASE)
_MAX_DIGITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RTPInfo:
    """One track. `seq` is the first packet's sequence number, `rtptime` its RTP time in clock units; None: not said.
    `others` are parameters as written."""

    url: str
    seq: int | None = None
    rtptime: int | None = None
    others: tuple[str, ...] = ()

    def encode(self) -> str:
        numbers = [("seq", self.seq), ("rtptime", self.rtptime)]
        said = [f"{name}={value}" for name, value in numbers if value is not None]
        return ";".join([f"url={self.url}", *said, *self.others])


def parse_rtp_info(value: str) -> tuple[RTPInfo, ...]:
    """The entries that name a URL, in order."""
    entries = (_parse_entry(entry) for entry in _NEXT_ENTRY.split(value.strip()))
    return tuple(entry for entry in entries if entry is not None)


def encode_rtp_info(entries: tuple[RTPInfo, ...]) -> str:
    """The header's value."""
    return ",".join(entry.encode() for entry in entries)


def rewrite_rtp_info(value: str, rewrite: Callable[[str], str]) -> str:
    """The header's value with each URL replaced by what `rewrite` makes of it; parameters that hold one are dropped."""
    return encode_rtp_info(tuple(_rewritten(entry, rewrite) for entry in parse_rtp_info(value)))


def _rewritten(entry: RTPInfo, rewrite: Callable[[str], str]) -> RTPInfo:
    others = tuple(parameter for parameter in entry.others if "://" not in parameter)
    return replace(entry, url=rewrite(entry.url), others=others)


def _parse_entry(entry: str) -> RTPInfo | None:
    first, *parameters = (part.strip().rstrip(",; ") for part in _NEXT_PARAMETER.split(entry))
    name, _, url = first.partition("=")
    if name.strip().lower() != "url":
        return None
    numbers: dict[str, int] = {}
    others = [text for text in parameters if not _take_number(text, numbers)]
    return RTPInfo(
        url=url.strip().rstrip(",;"), seq=numbers.get("seq"), rtptime=numbers.get("rtptime"), others=tuple(others)
    )


def _take_number(text: str, numbers: dict[str, int]) -> bool:
    name, _, value = text.partition("=")
    name, value = name.strip().lower(), value.strip()
    valid = value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS
    if name not in ("seq", "rtptime") or name in numbers or not valid:
        return False
    numbers[name] = int(value)
    return True
