"""Session descriptions (RFC 8866), as RTSP needs them: lines are kept to the byte, and read where they are understood.

A description is a tuple of raw lines. Whatever we do not know stays where it is; changing something replaces that
line alone. Nothing is refused but what has no session description in it at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

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
        return next(_attributes(_texts(self._sections()[0]), "control"), None)

    @property
    def name(self) -> str:
        """The session's name (s=)."""
        return next((line[2:] for line in _texts(self._sections()[0]) if line.startswith("s=")), "")

    @property
    def media(self) -> tuple[MediaDescription, ...]:
        """The m= sections in order."""
        return tuple(_parse_media(_texts(section)) for section in self._sections()[1:])

    @property
    def connection_addresses(self) -> tuple[str, ...]:
        """The addresses of all c= lines, without TTL and count."""
        fields = [line.split() for line in self.raw_lines if line.startswith("c=")]
        return tuple(parts[2].partition("/")[0] for parts in fields if len(parts) > 2)

    def with_controls(self, controls: Mapping[int | None, str]) -> SessionDescription:
        """Control attributes by number of the medium, None for the session, set to these values: in place of those
        that are there, or as a new last line of the section."""
        sections = self._sections()
        for at, value in controls.items():
            section = sections[0 if at is None else at + 1]
            section[:] = _with_control(section, f"a=control:{value}", self._line_end())
        return SessionDescription(raw_lines=tuple(chain.from_iterable(sections)))

    def with_connection(self, address: str) -> SessionDescription:
        """Every c= line names this address (IPv4 or IPv6). None is added where there is none."""
        line = f"c={_network(address)}"
        return self._map(lambda text: line if text.startswith("c=") else text)

    def with_origin_address(self, address: str) -> SessionDescription:
        """The o= line names this address; its user, id and version stay (RFC 8866, 5.2)."""
        return self._map(lambda text: _origin(text, address) if text.startswith("o=") else text)

    def without_attributes(self, *names: str) -> SessionDescription:
        """Drop every a= line of these names: for those that tell of addresses (source-filter, rtcp, candidate)."""
        kept = (raw for raw in self.raw_lines if not any(_is_attribute(_text(raw), name) for name in names))
        return SessionDescription(raw_lines=tuple(kept))

    def _sections(self) -> list[list[str]]:
        """Raw lines of the session, then of each medium."""
        sections: list[list[str]] = [[]]
        for line in self.raw_lines:
            if line.startswith("m="):
                sections.append([])
            sections[-1].append(line)
        return sections

    def _line_end(self) -> str:
        return "\n" if self.raw_lines and not self.raw_lines[0].endswith("\r\n") else "\r\n"

    def _map(self, change: Callable[[str], str]) -> SessionDescription:
        return SessionDescription(raw_lines=tuple(_replace(raw, change(_text(raw))) for raw in self.raw_lines))


def _text(raw: str) -> str:
    return raw.rstrip("\r\n")


def _texts(section: list[str]) -> tuple[str, ...]:
    return tuple(_text(raw) for raw in section)


def _replace(raw: str, text: str) -> str:
    """This text with the line end of `raw`."""
    return text + raw[len(_text(raw)) :]


def _with_control(section: list[str], line: str, line_end: str) -> list[str]:
    replaced = [_replace(raw, line) if _is_attribute(_text(raw), "control") else raw for raw in section]
    if replaced != section or line in _texts(section):
        return replaced
    end = len(section)
    while end and not section[end - 1].strip():
        end -= 1
    before = [raw if raw.endswith("\n") else raw + line_end for raw in section[:end]]
    return [*before, line + line_end, *section[end:]]


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
