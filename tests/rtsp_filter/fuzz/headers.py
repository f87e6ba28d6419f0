"""Header values and URLs. What was understood is understood the same when it is sent on."""

from __future__ import annotations

import re
from dataclasses import replace

from rtsp_filter.rtsp import (
    RTSPURL,
    Authenticator,
    Credentials,
    Headers,
    SessionHeader,
    URLError,
    base_url,
    control_forms,
    encode_rtp_info,
    encode_transports,
    is_absolute,
    parse_challenges,
    parse_rtp_info,
    parse_ssrc,
    parse_transports,
    rewrite_rtp_info,
    track_url,
)

URL = "rtsp://198.51.100.7/stream?a=b"
CONTROL = re.compile(r"[\0-\x08\x0a-\x1f\x7f]")
CREDENTIALS = Credentials(username='us"er', password="pass word")  # noqa: S106


def text_of(data: bytes) -> str:
    """A header's value as the parser gives it: no control characters, and no blanks at its ends."""
    return CONTROL.sub("", data.decode("utf-8", "surrogateescape")).strip(" \t")


def transport(data: bytes) -> None:
    """Entries are sent on as they were understood."""
    specs = parse_transports(text_of(data))
    assert parse_transports(encode_transports(specs)) == specs
    for spec in specs:
        assert (parse_ssrc(spec.ssrc) or 0) < 2**32
        pairs = (spec.interleaved, spec.client_port, spec.server_port, spec.port)
        assert all(0 <= number <= 65535 for pair in pairs if pair for number in pair)


def session(data: bytes) -> None:
    """Any value has an id; the time-out is a positive number or not said."""
    header = SessionHeader.parse(text_of(data))
    assert header.timeout is None or header.timeout > 0
    assert SessionHeader.parse(header.encode()) == header
    Headers([("Session", header.id)])


def rtp_info(data: bytes) -> None:
    """URLs and numbers are sent on as they were understood; every URL can be replaced."""
    text = text_of(data)
    entries = tuple(replace(entry, others=()) for entry in parse_rtp_info(text))
    assert parse_rtp_info(encode_rtp_info(entries)) == entries
    rewritten = parse_rtp_info(rewrite_rtp_info(text, lambda url: URL))
    assert [entry.url for entry in rewritten] == [URL] * len(entries)
    assert [(entry.seq, entry.rtptime) for entry in rewritten] == [(entry.seq, entry.rtptime) for entry in entries]


def challenge(data: bytes) -> None:
    """Questions for a password: what is answered repeats realm, nonce and opaque to the character, in one line."""
    values = [text_of(part) for part in data.split(b"\n")]
    authenticator = Authenticator(CREDENTIALS)
    known = authenticator.learn(values)
    answer = authenticator.authorization("SETUP", URL)
    if known is None or answer is None:
        assert (known, answer) == (None, None)
        assert parse_challenges(values) == ()
        return
    Headers([("Authorization", answer)])
    assert CREDENTIALS.password not in answer
    if known.nonce:
        (repeated,) = parse_challenges([answer])
        assert (repeated.realm, repeated.nonce, repeated.opaque) == (known.realm, known.nonce, known.opaque)


def url(data: bytes) -> None:
    """A URL is written as it was read, shows no password when it should not, and joins with anything."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        parsed = RTSPURL.parse(text)
    except URLError:
        return
    assert RTSPURL.parse(str(parsed)) == parsed
    assert RTSPURL.parse(str(parsed.without_userinfo())).userinfo is None
    assert 0 < parsed.effective_port <= 65535
    assert RTSPURL.parse(f"{parsed.scheme}://{parsed.authority}").host == parsed.host
    for reference in (parsed.path, parsed.query, text):
        assert is_absolute(track_url(base_url(text, Headers([("Content-Base", parsed.path)])), None, reference))
        assert control_forms(str(parsed), reference or "*")
