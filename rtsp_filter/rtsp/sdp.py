"""Session descriptions (RFC 8866), as RTSP needs them: lines are kept to the byte, and read where they are understood.

A description is a tuple of raw lines. Whatever we do not know stays where it is; changing something replaces that
line alone. Nothing is refused but what has no session description in it at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rtsp_filter.rtsp.errors import SDPError

_RTPMAP = re.compile(r"([0-9]{1,3})[ \t]+([^/ \t]+)(?:/([0-9]+))?(?:/([0-9]+))?[ \t]*")
_MAX_DIGITS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class RTPMap:
    """a=rtpmap: what a payload type stands for. `clock_rate` in Hz; 0 where it is missing."""

    payload_type: int
    codec: str
    clock_rate: int
    channels: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaDescription:
    """An m= section. Attributes are those of this section only."""

    media: str
    port: int
    proto: str
    formats: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def control(self) -> str | None:
        return self.attribute("control")

    @property
    def rtpmaps(self) -> tuple[RTPMap, ...]:
        """The a=rtpmap attributes that parse, in order."""
        found = (_parse_rtpmap(value) for value in _attributes(self.lines, "rtpmap"))
        return tuple(rtpmap for rtpmap in found if rtpmap is not None)

    @property
    def rtpmap(self) -> RTPMap | None:
        """The a=rtpmap of the first format; else the first there is."""
        mine = [m for m in self.rtpmaps if self.formats and str(m.payload_type) == self.formats[0]]
        return next(iter(mine or self.rtpmaps), None)

    @property
    def fmtp(self) -> str | None:
        """The parameters of the first a=fmtp, without the format."""
        value = self.attribute("fmtp")
        return value.partition(" ")[2].strip() if value is not None else None

    def attribute(self, name: str) -> str | None:
        """The value of the first a=name:value; "" for a flag."""
        return next(_attributes(self.lines, name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDescription:
    """A session description. `raw_lines` have their line ends; joined they are what was parsed."""

    raw_lines: tuple[str, ...]

    @classmethod
    def parse(cls, data: bytes) -> SessionDescription:
        """Raises SDPError only when there is neither a version (v=) nor a medium (m=)."""
        text = data.decode("utf-8", "surrogateescape")
        description = cls(raw_lines=tuple(re.findall(r"[^\n]*\n|[^\n]+", text)))
        if not any(line.startswith(("v=", "m=")) for line in description.raw_lines):
            raise SDPError("not a session description: it has neither a v= nor an m= line")
        return description

    def encode(self) -> bytes:
        """The bytes that were parsed, but for the lines that were replaced."""
        return "".join(self.raw_lines).encode("utf-8", "surrogateescape")

    @property
    def control(self) -> str | None:
        """The session-level control attribute."""
        return next(_attributes(self._section(None), "control"), None)

    @property
    def name(self) -> str:
        """The session's name (s=)."""
        return next((line[2:] for line in self._section(None) if line.startswith("s=")), "")

    @property
    def media(self) -> tuple[MediaDescription, ...]:
        """The m= sections in order."""
        count = sum(line.startswith("m=") for line in self.raw_lines)
        return tuple(_parse_media(self._section(index)) for index in range(count))

    @property
    def connection_addresses(self) -> tuple[str, ...]:
        """The addresses of all c= lines, without TTL and count."""
        fields = [line.split() for line in self._stripped() if line.startswith("c=")]
        return tuple(parts[2].partition("/")[0] for parts in fields if len(parts) > 2)

    def with_control(self, media: int | None, value: str) -> SessionDescription:
        """Control of medium number `media`, or of the session for None, set to `value`: in place of what is there,
        or as a new line at the section's end."""
        line = f"a=control:{value}"
        replaced = self._map(lambda at, text: line if at == media and _is_attribute(text, "control") else text)
        if next(_attributes(replaced._section(media), "control"), None) is not None:
            return replaced
        lines = list(replaced.raw_lines)
        end = max((i for i, (at, _) in enumerate(replaced._numbered()) if at == media), default=-1)
        if end >= 0 and not lines[end].endswith("\n"):
            lines[end] += self._line_end()
        while end >= 0 and not lines[end].strip():
            end -= 1
        lines.insert(end + 1, line + self._line_end())
        return SessionDescription(raw_lines=tuple(lines))

    def with_connection(self, address: str) -> SessionDescription:
        """Every c= line names this address (IPv4 or IPv6). None is added where there is none."""
        line = f"c={_network(address)}"
        return self._map(lambda _, text: line if text.startswith("c=") else text)

    def with_origin_address(self, address: str) -> SessionDescription:
        """The o= line names this address; its user, id and version stay (RFC 8866, 5.2)."""
        return self._map(lambda _, text: _origin(text, address) if text.startswith("o=") else text)

    def without_attributes(self, *names: str) -> SessionDescription:
        """Drop every a= line of these names: those that tell of addresses (source-filter, rtcp, candidate)."""
        kept = [raw for raw in self.raw_lines if not any(_is_attribute(raw.rstrip("\r\n"), name) for name in names)]
        return SessionDescription(raw_lines=tuple(kept))

    def _stripped(self) -> list[str]:
        return [line.rstrip("\r\n") for line in self.raw_lines]

    def _numbered(self) -> Iterator[tuple[int | None, str]]:
        """Each line with the number of its medium; None before the first."""
        at: int | None = None
        for line in self._stripped():
            if line.startswith("m="):
                at = 0 if at is None else at + 1
            yield at, line

    def _section(self, media: int | None) -> tuple[str, ...]:
        return tuple(line for at, line in self._numbered() if at == media)

    def _line_end(self) -> str:
        return "\n" if self.raw_lines and not self.raw_lines[0].endswith("\r\n") else "\r\n"

    def _map(self, change: Callable[[int | None, str], str]) -> SessionDescription:
        """Lines replaced by what `change` makes of them; their line ends stay."""
        lines = [
            raw if (new := change(at, text)) == text else new + raw[len(text) :]
            for raw, (at, text) in zip(self.raw_lines, self._numbered(), strict=True)
        ]
        return SessionDescription(raw_lines=tuple(lines))


def _is_attribute(line: str, name: str) -> bool:
    return line == f"a={name}" or line.startswith(f"a={name}:")


def _attributes(lines: tuple[str, ...], name: str) -> Iterator[str]:
    for line in lines:
        if _is_attribute(line, name):
            yield line[len(f"a={name}:") :].strip()


def _parse_media(lines: tuple[str, ...]) -> MediaDescription:
    fields = lines[0][2:].split()
    media, port, proto = (*fields[:3], *[""] * (3 - len(fields[:3])))
    return MediaDescription(
        media=media,
        port=_number(port.partition("/")[0]),
        proto=proto,
        formats=tuple(fields[3:]),
        lines=lines,
    )


def _parse_rtpmap(value: str) -> RTPMap | None:
    found = _RTPMAP.fullmatch(value)
    if found is None:
        return None
    return RTPMap(
        payload_type=int(found[1]),
        codec=found[2],
        clock_rate=_number(found[3]),
        channels=_number(found[4]) or None,
    )


def _number(text: str | None) -> int:
    usable = text is not None and text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if text is not None and usable else 0


def _network(address: str) -> str:
    return f"IN IP6 {address}" if ":" in address else f"IN IP4 {address}"


def _origin(line: str, address: str) -> str:
    known = line[2:].split()[:3]
    user, session, version = (*known, *("-", "0", "0")[len(known) :])
    return f"o={user} {session} {version} {_network(address)}"
