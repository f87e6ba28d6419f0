"""The Transport header (RFC 2326, 12.39): what a client offers and a server grants for one track.

Real peers write it loosely, so nothing but a missing lower transport makes an entry unusable: a parameter that does
not parse is kept as text among `others`, and what is kept is sent on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

_MAX_PORT = 65535
_MAX_CHANNEL = 255
_MAX_TTL = 255
_NUMBERS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_PROTOCOL = re.compile(r"(RTP/S?AVPF?)(?:/(UDP|TCP))?", re.IGNORECASE)


class LowerTransport(Enum):
    """What carries RTP."""

    UDP = "UDP"
    TCP = "TCP"


class Delivery(Enum):
    """To one receiver or to a group."""

    UNICAST = "unicast"
    MULTICAST = "multicast"


class Pair(NamedTuple):
    """Two UDP ports or two interleaved channels: one for RTP, one for RTCP."""

    rtp: int
    rtcp: int

    def __str__(self) -> str:
        return f"{self.rtp}-{self.rtcp}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSpec:
    """One entry of a Transport header.

    `port` is the pair of a multicast group, `ssrc` the text as written (servers pad, shorten and prefix it), `others`
    the parameters that we do not know or that do not parse, as written and in order.
    """

    profile: str = "RTP/AVP"
    lower: LowerTransport = LowerTransport.UDP
    delivery: Delivery = Delivery.UNICAST
    destination: str | None = None
    source: str | None = None
    interleaved: Pair | None = None
    client_port: Pair | None = None
    server_port: Pair | None = None
    port: Pair | None = None
    ttl: int | None = None
    ssrc: str | None = None
    mode: str | None = None
    others: tuple[str, ...] = ()

    @property
    def records(self) -> bool:
        """Whether the client sends (mode=RECORD, RFC 2326, 12.39)."""
        return self.mode is not None and "RECORD" in self.mode.upper()

    def encode(self) -> str:
        """The entry as text; UDP goes unsaid, which every peer understands."""
        protocol = self.profile + ("/TCP" if self.lower is LowerTransport.TCP else "")
        named = [f"{name}={value}" for name, value in self._parameters() if value is not None]
        return ";".join([protocol, self.delivery.value, *named, *self.others])

    def _parameters(self) -> tuple[tuple[str, object], ...]:
        return (
            ("destination", self.destination),
            ("source", self.source),
            ("interleaved", self.interleaved),
            ("client_port", self.client_port),
            ("server_port", self.server_port),
            ("port", self.port),
            ("ttl", self.ttl),
            ("ssrc", self.ssrc),
            ("mode", self.mode),
        )


def parse_transports(value: str) -> tuple[TransportSpec, ...]:
    """The entries that we could use, in the order of preference; empty where there is none (answer 461)."""
    entries = (_parse_entry(entry) for entry in value.split(","))
    return tuple(entry for entry in entries if entry is not None)


def encode_transports(specs: tuple[TransportSpec, ...]) -> str:
    """The value of a Transport header that offers these."""
    return ",".join(spec.encode() for spec in specs)


def parse_ssrc(text: str | None) -> int | None:
    """The SSRC of a Transport header as a number; None where it is none.

    The RFC asks for eight hex digits; servers also send fewer, padding, a 0x prefix, or a decimal number of more than
    eight digits.
    """
    digits = (text or "").strip().lower()
    if re.fullmatch(r"(0x)?[0-9a-f]{1,8}", digits):
        return int(digits, 16)
    if re.fullmatch(r"[0-9]{9,10}", digits) and int(digits) < 2**32:
        return int(digits)
    return None


def _parse_entry(entry: str) -> TransportSpec | None:
    protocol, *parameters = [part.strip() for part in entry.split(";")]
    known = _PROTOCOL.fullmatch(protocol)
    if known is None:
        return None
    fields: dict[str, object] = {}
    others = [text for text in parameters if text and not _take_parameter(text, fields)]
    if fields.setdefault("delivery", _implied_delivery(fields)) is None:
        return None
    return TransportSpec(
        profile=known[1].upper(),
        lower=LowerTransport((known[2] or "UDP").upper()),
        others=tuple(others),
        **fields,  # type: ignore[arg-type]
    )


def _implied_delivery(fields: dict[str, object]) -> Delivery:
    # The RFC says multicast when nothing is said; those who say nothing mean unicast, unless they name a group's port.
    return Delivery.MULTICAST if "port" in fields else Delivery.UNICAST


def _take_parameter(text: str, fields: dict[str, object]) -> bool:
    """Store the parameter under its field; False where it is unknown, repeated or does not parse."""
    name, _, value = text.partition("=")
    name, value = name.strip().lower(), value.strip()
    if name in ("unicast", "multicast"):
        fields["delivery"] = Delivery(name)
        return True
    parse = _PARSERS.get(name)
    if parse is None or name in fields:
        return False
    if not value:
        # `source=` with nothing after it says nothing.
        return True
    parsed = parse(value)
    if parsed is not None:
        fields[name] = parsed
    return parsed is not None


def _parse_pair(text: str, largest: int) -> Pair | None:
    found = _NUMBERS.fullmatch(text.replace(" ", ""))
    if found is None:
        return None
    first = int(found[1])
    pair = Pair(first, int(found[2]) if found[2] else first + 1)
    return pair if max(pair) <= largest else None


def _parse_ports(text: str) -> Pair | None:
    return _parse_pair(text, _MAX_PORT)


def _parse_channels(text: str) -> Pair | None:
    return _parse_pair(text, _MAX_CHANNEL)


def _parse_ttl(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) and int(text) <= _MAX_TTL else None


_PARSERS: dict[str, Callable[[str], object | None]] = {
    "destination": str,
    "source": str,
    "interleaved": _parse_channels,
    "client_port": _parse_ports,
    "server_port": _parse_ports,
    "port": _parse_ports,
    "ttl": _parse_ttl,
    "ssrc": str,
    "mode": str,
}
