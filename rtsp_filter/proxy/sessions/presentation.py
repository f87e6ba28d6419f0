"""One stream as the client sees it and as the camera has it: which URL of the one is which URL of the other.

The client is shown a stream at its own URL: Content-Base is the URL that it asked for, and control attributes are
relative to that. Relative ones of the camera stay as they are; absolute ones, which name the camera, are replaced.
Players differ in how they put a control attribute behind a base, so URLs are compared by path and query, in every
form that players make, without regard to the slash at the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from rtsp_filter.proxy.limits import KNOWN_DESCRIPTIONS, LONGEST_KNOWN_DESCRIPTION, MAX_TRACKS
from rtsp_filter.rtsp import RTSPURL, Headers, MediaDescription, SDPError, SessionDescription, URLError
from rtsp_filter.rtsp.control import aggregate_url, base_url, control_forms, is_absolute, resolve, track_url
from rtsp_filter.rtsp.version2 import media_properties

# Attributes that tell of the camera's addresses and mean nothing on this side of the mesh.
_ADDRESS_ATTRIBUTES = ("source-filter", "rtcp", "candidate")
# A password may contain what ends a URL elsewhere, and one URL may be in the query of another.
_URL_START = r"rtsps?://(?:[^/?\s\"']*@)?"
_ANY_URL = re.compile(rf"{_URL_START}(?:{_URL_START}|[^\s;,\"'])+", re.IGNORECASE)
# Every request compares the same few URLs of its stream; at 8 KiB each, as long as a head may be, the worst is 8 MiB.
_KNOWN_KEYS = 1024

# Of video, and of a medium that does not say.
_USUAL_CLOCK_RATE = 90_000

# "rtsp:", "" and the authority: what a URL has before its path, split at slashes.
_AUTHORITY_PARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One medium of a stream. `control` is what the client's session description says; `coding` what the camera's says
    of the medium's transport and formats."""

    media: str
    control: str
    upstream_url: str
    coding: tuple[str, ...] = ()
    clock_rate: int = _USUAL_CLOCK_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """A described stream. `client_base` ends with a slash; `upstream_aggregate` is the URL of PLAY at the camera.
    `live`: nothing is said of an end."""

    client_url: str
    client_base: str
    upstream_url: str
    upstream_aggregate: str
    tracks: tuple[Track, ...] = ()
    live: bool = True

    @classmethod
    def undescribed(cls, client_url: str, upstream_url: str) -> Presentation:
        """A stream that the client sets up without DESCRIBE: whatever it asks for lies below its URL."""
        return cls(
            client_url=client_url,
            client_base=with_slash(client_url),
            upstream_url=upstream_url,
            upstream_aggregate=upstream_url,
        )

    def track(self, client_url: str) -> Track | None:
        """The track that a SETUP asks for."""
        wanted = _key(client_url)
        for track in self.tracks:
            if wanted in {_key(form) for form in self._client_forms(track.control)}:
                return track
        return None

    def covers(self, client_url: str) -> bool:
        """Whether a URL is this stream's or one of its tracks'."""
        return self.is_aggregate(client_url) or self.track(client_url) is not None

    @property
    def announced(self) -> bool:
        """Whether a client has described it, to record it: only cameras are asked how it is coded."""
        return bool(self.tracks) and not any(track.coding for track in self.tracks)

    def clock_rate(self, upstream_url: str) -> int:
        """Of a track of the camera, in Hz."""
        return next((each.clock_rate for each in self.tracks if each.upstream_url == upstream_url), _USUAL_CLOCK_RATE)

    def taken_over(self, other: Presentation) -> Presentation:
        """This stream as another camera has it, which described it as `other`. Raises SDPError where what the client
        was told does not hold there."""
        if not self.tracks:
            raise SDPError("the stream was never described")
        if [track.coding for track in self.tracks] != [track.coding for track in other.tracks]:
            raise SDPError("it describes another stream")
        tracks = zip(self.tracks, other.tracks, strict=True)
        return replace(
            self,
            upstream_url=other.upstream_url,
            upstream_aggregate=other.upstream_aggregate,
            tracks=tuple(replace(ours, upstream_url=theirs.upstream_url) for ours, theirs in tracks),
        )

    def is_aggregate(self, client_url: str) -> bool:
        """Whether a URL stands for the stream as a whole."""
        return _key(client_url) == _key(self.client_url)

    def upstream(self, client_url: str) -> str:
        """The camera's URL for a URL of the client: a track's, or the aggregate's."""
        if not self.tracks:
            return self._below(client_url)
        track = None if self.is_aggregate(client_url) else self.track(client_url)
        return self.upstream_aggregate if track is None else track.upstream_url

    def client(self, upstream_url: str) -> str:
        """The client's URL for a URL of the camera, which servers write in many ways; never one of the camera's."""
        wanted = _key(upstream_url)
        for track in self.tracks:
            known = _key(track.upstream_url)
            if wanted == known or known.endswith(f"/{wanted.lstrip('/')}"):
                return resolve(self.client_base, track.control)
        return self.client_base if _names_a_server(upstream_url) else upstream_url

    @property
    def host(self) -> str:
        """The host that the client asked at."""
        return RTSPURL.parse(self.client_url).host

    def _below(self, client_url: str) -> str:
        """The camera's URL where nothing was described: what differs between the two known URLs is replaced."""
        ours, theirs = self.client_url.split("/"), self.upstream_url.split("/")
        while len(ours) > _AUTHORITY_PARTS and len(theirs) > _AUTHORITY_PARTS and ours[-1] == theirs[-1]:
            ours.pop()
            theirs.pop()
        prefix = "/".join(ours)
        if client_url == prefix or client_url.startswith(f"{prefix}/"):
            return "/".join(theirs) + client_url[len(prefix) :]
        return self.upstream_url

    def hide(self, text: str) -> str:
        """Text with every RTSP URL in it replaced by the client's."""
        if "://" not in text:
            return text
        return _ANY_URL.sub(lambda found: self.client(found[0]), text)

    def _client_forms(self, control: str) -> tuple[str, ...]:
        return (*control_forms(self.client_base, control), *control_forms(self.client_url, control))


def describe(
    client_url: str, upstream_url: str, headers: Headers, body: bytes, local_address: str
) -> tuple[Presentation, bytes]:
    """The presentation that a camera's answer to DESCRIBE makes, and the session description for the client.

    `local_address` is the proxy's, as the client reaches it. Raises SDPError for what is no session
    description, or one of too many tracks.
    """
    base = base_url(upstream_url, headers)
    long = len(client_url) + len(upstream_url) + len(base) + len(body) > LONGEST_KNOWN_DESCRIPTION
    return (_described if long else _known)(client_url, upstream_url, base, body, local_address)


def _described(
    client_url: str, upstream_url: str, base: str, body: bytes, local_address: str
) -> tuple[Presentation, bytes]:
    description = _parsed(body)
    tracks = []
    shown: dict[int | None, str] = {}
    aggregate = description.control
    if aggregate is not None and is_absolute(aggregate):
        shown[None] = "*"
    for index, media in enumerate(description.media):
        control = media.control
        if control is not None and _names_a_server(control):
            shown[index] = f"msm-track={index}"
        upstream = track_url(base, aggregate, control)
        rtpmap = media.rtpmap
        track = Track(
            media=media.media,
            control=shown.get(index, control) or "*",
            upstream_url=upstream,
            coding=_coding(media),
            clock_rate=(rtpmap and rtpmap.clock_rate) or _USUAL_CLOCK_RATE,
        )
        tracks.append(track)
    presentation = Presentation(
        client_url=client_url,
        client_base=with_slash(client_url),
        upstream_url=upstream_url,
        upstream_aggregate=aggregate_url(base, aggregate),
        tracks=tuple(tracks),
        live=media_properties(description).live,
    )
    if shown:
        description = description.with_controls(shown)
    return presentation, _neutral(description, presentation, local_address).encode()


_known = lru_cache(KNOWN_DESCRIPTIONS)(_described)


def announced(client_url: str, upstream_url: str, body: bytes) -> tuple[Presentation, bytes]:
    """The presentation that a client's ANNOUNCE makes, and the session description for the camera.

    Control attributes that name this proxy are made relative. Raises SDPError for what is no session
    description, or one of too many tracks.
    """
    description = _parsed(body)
    shown: dict[int | None, str] = {}
    if description.control is not None and is_absolute(description.control):
        shown[None] = "*"
    tracks = []
    for index, media in enumerate(description.media):
        control = media.control
        if control is None or is_absolute(control):
            shown[index] = f"msm-track={index}"
        told = shown.get(index, control)
        tracks.append(Track(media=media.media, control=control or "*", upstream_url=resolve(upstream_url, told)))
    presentation = Presentation(
        client_url=client_url,
        client_base=with_slash(client_url),
        upstream_url=upstream_url,
        upstream_aggregate=upstream_url,
        tracks=tuple(tracks),
    )
    return presentation, (description.with_controls(shown) if shown else description).encode()


def _coding(media: MediaDescription) -> tuple[str, ...]:
    """What a player must know to decode a medium: a port and addresses are not among it."""
    attributes = (line for line in media.lines if line.startswith(("a=rtpmap:", "a=fmtp:")))
    return (" ".join((media.media, media.proto, *media.formats)), *attributes)


def _parsed(body: bytes) -> SessionDescription:
    """A session description of no more tracks than anybody has; they are counted before they are read."""
    description = SessionDescription.parse(body)
    tracks = sum(line.startswith("m=") for line in description.raw_lines)
    if tracks > MAX_TRACKS:
        raise SDPError(f"a description of {tracks} tracks; {MAX_TRACKS} are taken")
    return description


def _neutral(description: SessionDescription, presentation: Presentation, local_address: str) -> SessionDescription:
    """The description without a trace of the camera's address."""
    description = description.with_connection("::" if ":" in local_address else "0.0.0.0")
    description = description.with_origin_address(local_address).without_attributes(*_ADDRESS_ATTRIBUTES)
    return SessionDescription(raw_lines=tuple(presentation.hide(line) for line in description.raw_lines))


def _names_a_server(reference: str) -> bool:
    """Whether there is an RTSP URL anywhere in a reference, be it a relative one."""
    return _ANY_URL.search(reference) is not None or is_absolute(reference)


def with_slash(url: str) -> str:
    """A URL as Content-Base has it: what follows is below it."""
    return url if url.endswith("/") else f"{url}/"


@lru_cache(_KNOWN_KEYS)
def _key(url: str) -> str:
    """What of a URL tells it from others at one server: path and query, without the slash at the end."""
    try:
        return RTSPURL.parse(url).target.rstrip("/")
    except URLError:
        return url.rstrip("/")
