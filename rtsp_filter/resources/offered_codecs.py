"""Which codecs a session description offers, named as media types are: "video/H264" (RFC 4855, section 3)."""

from __future__ import annotations

from collections.abc import Iterable

from rtsp_filter.player.formats import static_encoding
from rtsp_filter.rtsp import MediaDescription, SessionDescription


def offered_codecs(description: SessionDescription) -> tuple[str, ...]:
    """All of them in their order, each once."""
    found = (f"{media.media}/{name}" for media in description.media for name in _encodings(media))
    return tuple(dict.fromkeys(found))


def what_lacks(expected: Iterable[str], description: SessionDescription) -> str | None:
    """A sentence on the expected codecs that are not offered; None if all are. Upper and lower case are the same."""
    offered = offered_codecs(description)
    known = {codec.lower() for codec in offered}
    missing = [codec for codec in expected if codec.lower() not in known]
    if not missing:
        return None
    return f"the description has no {', '.join(missing)}; it has {', '.join(offered) or 'nothing'}"


def _encodings(media: MediaDescription) -> Iterable[str]:
    """Encoding names of an m= section's formats, those of static payload types too."""
    names = {str(rtpmap.payload_type): rtpmap.codec for rtpmap in media.rtpmaps}
    found = (names.get(number) or static_encoding(number) for number in media.formats)
    return (name for name in found if name is not None)
