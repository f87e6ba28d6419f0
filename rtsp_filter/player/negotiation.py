"""What the answers to DESCRIBE and SETUP, and redirects, mean for the session; pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from rtsp_filter.player.errors import SessionFailedError
from rtsp_filter.player.formats import describe_format, is_rtp
from rtsp_filter.player.track import TrackReceiver
from rtsp_filter.rtsp import (
    RTSPURL,
    Credentials,
    LowerTransport,
    MediaDescription,
    Pair,
    Redirects,
    Request,
    Response,
    RTSPError,
    SessionDescription,
    StatusCode,
    TransportSpec,
    URLError,
    aggregate_url,
    base_url,
    parse_transports,
    track_url,
)

MAXIMUM_TRACKS = 16
"""A description with more is not worth a port pair each."""

MAXIMUM_EXPLANATION = 300
"""Characters shown of the text in an error response: a sentence or two; a whole page of HTML helps nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """What DESCRIBE told: the RTP tracks, with their URLs in the same order, and the URL of PLAY and TEARDOWN."""

    media: tuple[MediaDescription, ...]
    urls: tuple[str, ...]
    aggregate_url: str

    @classmethod
    def of(cls, request: Request, response: Response) -> Presentation:
        """Raises SessionFailedError when there is nothing to play."""
        try:
            description = SessionDescription.parse(response.body)
        except RTSPError as error:
            raise SessionFailedError(f"DESCRIBE: {error}") from error
        media = tuple(section for section in description.media if is_rtp(section))
        if not media:
            raise SessionFailedError("DESCRIBE: the session description has no RTP track")
        if len(media) > MAXIMUM_TRACKS:
            raise SessionFailedError(f"DESCRIBE: {len(media)} tracks, at most {MAXIMUM_TRACKS} are played")
        base = base_url(request.url, response.headers)
        return cls(
            media=media,
            urls=tuple(track_url(base, description.control, section.control) for section in media),
            aggregate_url=aggregate_url(base, description.control),
        )


@dataclass(slots=True, kw_only=True)
class PlayerTrack:
    """A track that is set up, or is going to be. `transport` is what was asked for, then what the server granted."""

    url: str
    receiver: TrackReceiver
    transport: TransportSpec


def make_tracks(
    presentation: Presentation, transports: Sequence[TransportSpec], *, ssrc: int, cname: str
) -> tuple[PlayerTrack, ...]:
    """The tracks to set up with these transports; our SSRCs count up from `ssrc`."""
    tracks = []
    for index, (media, url, spec) in enumerate(zip(presentation.media, presentation.urls, transports, strict=True)):
        codec, clock_rate = describe_format(media)
        receiver = TrackReceiver(
            media=media.media,
            codec=codec,
            clock_rate=clock_rate,
            ssrc=(ssrc + index) % (1 << 32),
            cname=cname,
        )
        tracks.append(PlayerTrack(url=url, receiver=receiver, transport=spec))
    return tuple(tracks)


def interleaved_transports(count: int) -> list[TransportSpec]:
    """What to ask for over TCP: channels 0-1, 2-3 and so on."""
    pairs = [Pair(2 * index, 2 * index + 1) for index in range(count)]
    return [TransportSpec(lower=LowerTransport.TCP, interleaved=pair) for pair in pairs]


def granted_transport(asked: TransportSpec, response: Response) -> TransportSpec:
    """What the response to SETUP grants. Raises SessionFailedError when that is nothing, or something else."""
    offers = parse_transports(response.headers.get("Transport") or "")
    if not offers:
        raise SessionFailedError("SETUP: the response has no usable Transport")
    offer = offers[0]
    if offer.lower is not asked.lower:
        raise SessionFailedError(f"SETUP: {asked.lower.value} was asked for, the server chose {offer.lower.value}")
    return offer if offer.interleaved else replace(offer, interleaved=asked.interleaved)


def parse_url(text: str) -> RTSPURL:
    """The URL of something that can be played. Raises URLError for what is none."""
    url = RTSPURL.parse(text)
    if url.scheme != "rtsp":
        raise URLError(f"{url.scheme} is not supported, only rtsp")
    return url


def redirect_target(redirects: Redirects, old: RTSPURL, location: str) -> RTSPURL:
    """Where a redirect leads. Raises SessionFailedError for one that must not be followed."""
    try:
        new = redirects.follow(old, location)
    except RTSPError as error:
        raise SessionFailedError(str(error)) from error
    if new.scheme == "rtsps":
        raise SessionFailedError(f"redirected to {location!r}: rtsps is not supported")
    return new


def credentials(url: RTSPURL) -> Credentials | None:
    """The user and password in the URL; None where it names none."""
    if url.userinfo is None:
        return None
    username, _, password = url.userinfo.partition(":")
    return Credentials(username=unquote(username), password=unquote(password))


def require_ok(request: Request, response: Response) -> None:
    """Raises SessionFailedError with status, reason phrase and explanation for anything but 200."""
    if response.status != StatusCode.OK:
        raise SessionFailedError(describe(request, response))


def describe(request: Request, response: Response) -> str:
    """What was answered to what, for people, and why, if the server says so."""
    status = _printable(f"{request.method}: {response.status} {response.reason}")
    explanation = _explanation(response)
    return f"{status}: {explanation}" if explanation else status


def _explanation(response: Response) -> str:
    """The plain text in a response's body as one printable line; "" when there is none."""
    media_type = (response.headers.get("Content-Type") or "").partition(";")[0]
    if media_type.strip().lower() != "text/plain":
        return ""
    text = _printable(response.body.decode("utf-8", "replace"))
    return text if len(text) <= MAXIMUM_EXPLANATION else f"{text[:MAXIMUM_EXPLANATION]}…"


def _printable(text: str) -> str:
    """One line that a terminal shows as it is: no control characters, which could move its cursor."""
    line = " ".join(text.split())
    return "".join(character if character.isprintable() else "?" for character in line)
