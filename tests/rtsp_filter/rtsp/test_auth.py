"""Challenges are read as servers write them, and answered as RFC 2617 and 7616 show."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtsp import Authenticator, Credentials, parse_challenges
from rtsp_filter.rtsp.auth import Scheme, digest_response, password_hash

MUFASA = Credentials(username="Mufasa", password="Circle Of Life")  # noqa: S106


def answer(*challenges: str, credentials: Credentials = MUFASA) -> str:
    authenticator = Authenticator(credentials)
    authenticator.learn(challenges)
    header = authenticator.authorization("GET", "/dir/index.html")
    assert header is not None
    return header


def parameters(header: str) -> dict[str, str]:
    return {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', header)}


def test_basic_is_the_pair_in_base64() -> None:
    aladdin = Credentials(username="Aladdin", password="open sesame")  # noqa: S106
    assert answer('Basic realm="x"', credentials=aladdin) == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


def test_the_hash_is_that_of_rfc_2617() -> None:
    secret = password_hash(Scheme.DIGEST_MD5, "Mufasa", "testrealm@host.com", "Circle Of Life")
    part = "dcd98b7102dd2f0e8b11d0f600bfb0c093:00000001:0a4f113b:auth"
    hashed = digest_response(Scheme.DIGEST_MD5, secret, "GET", "/dir/index.html", part)
    assert hashed == "6629fae49393a05397450978507c4ef1"


def test_the_hash_is_that_of_rfc_7616_with_sha_256() -> None:
    secret = password_hash(Scheme.DIGEST_SHA256, "Mufasa", "http-auth@example.org", "Circle of Life")
    nonce, cnonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    hashed = digest_response(Scheme.DIGEST_SHA256, secret, "GET", "/dir/index.html", f"{nonce}:00000001:{cnonce}:auth")
    assert hashed == "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"


def test_without_qop_the_answer_is_that_of_rfc_2069() -> None:
    said = parameters(answer('Digest realm="r", nonce="n", opaque="o"'))
    secret = password_hash(Scheme.DIGEST_MD5, "Mufasa", "r", "Circle Of Life")
    assert said["response"] == digest_response(Scheme.DIGEST_MD5, secret, "GET", "/dir/index.html", "n")
    assert (said["username"], said["uri"], said["opaque"]) == ("Mufasa", "/dir/index.html", "o")
    assert "qop" not in said
    assert "algorithm" not in said


def test_with_qop_the_nonce_is_counted() -> None:
    authenticator = Authenticator(MUFASA)
    authenticator.learn(['Digest realm="r", nonce="n", qop="auth", algorithm=MD5'])
    said = [parameters(authenticator.authorization("PLAY", "*") or "") for _ in range(2)]
    assert [answer["nc"] for answer in said] == ["00000001", "00000002"]
    assert said[0]["cnonce"] != said[1]["cnonce"]
    assert said[0]["algorithm"] == "MD5"


def test_the_strongest_scheme_is_used() -> None:
    offers = ['Basic realm="b"', 'Digest realm="m", nonce="1"', 'Digest realm="s", nonce="2", algorithm=SHA-256']
    assert parameters(answer(*offers))["realm"] == "s"
    assert parameters(answer(*offers[:2]))["realm"] == "m"
    assert answer(offers[0]).startswith("Basic ")


def test_several_challenges_may_share_a_header() -> None:
    challenges = parse_challenges(['Digest realm="a, b", nonce="x=\\"1\\"", stale=TRUE, Basic realm=plain'])
    assert [challenge.scheme for challenge in challenges] == [Scheme.DIGEST_MD5, Scheme.BASIC]
    assert (challenges[0].realm, challenges[0].nonce, challenges[0].stale) == ("a, b", 'x="1"', True)
    assert challenges[1].realm == "plain"


@pytest.mark.parametrize(
    "value",
    ["", "Negotiate", 'Digest realm="r"', 'Digest nonce="n", algorithm=MD5-sess', 'Digest nonce="n", qop="auth-int"'],
)
def test_what_we_cannot_answer_is_no_challenge(value: str) -> None:
    authenticator = Authenticator(MUFASA)
    assert parse_challenges([value]) == ()
    assert authenticator.learn([value]) is None
    assert authenticator.authorization("PLAY", "*") is None


def test_a_password_does_not_show() -> None:
    assert "Circle" not in repr(MUFASA)


@given(st.text(max_size=80))
def test_any_text_is_read_without_an_error(text: str) -> None:
    parse_challenges([text, f"Digest {text}"])


def test_a_long_header_is_read_in_linear_time() -> None:
    assert parse_challenges(["a" * 30000]) == ()
