"""Who may pass: against our own requester, and against answers as real players write them."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtsp import Authenticator, Credentials, Headers, Request, StatusCode, parse_challenges
from rtsp_filter.rtsp.auth import Scheme, digest_response, password_hash
from rtsp_filter.rtsp.auth_server import Gate, Secret, UnauthorizedError
from rtsp_filter.rtsp.nonces import KEY_BYTES, NONCE_SECONDS, Nonces

PEER, REALM = "192.0.2.1", "mesh"
STREAM = "rtsp://mesh.example:8554/lobby?channel=1"
USERS = {"ann": Secret.of("ann", REALM, "secret"), "old": replace(Secret.of("old", REALM, "secret"), sha256=None)}
GATE = Gate(realm=REALM, users=USERS, nonces=Nonces(b"k" * KEY_BYTES))
BASIC = replace(GATE, basic=True)


def request(authorization: str | None = None, *, method: str = "DESCRIBE", url: str = STREAM) -> Request:
    said = [] if authorization is None else [("Authorization", authorization)]
    return Request(method=method, url=url, headers=Headers([("CSeq", "1"), *said]))


def challenges(gate: Gate = GATE, authorization: str | None = None, now: float = 0.0) -> list[str]:
    with pytest.raises(UnauthorizedError) as error:
        gate.user(request(authorization), PEER, now)
    assert error.value.status is StatusCode.UNAUTHORIZED
    assert {name for name, _ in error.value.headers} == {"WWW-Authenticate"}
    return [value for _, value in error.value.headers]


def answer(
    *,
    offered: list[str],
    name: str = "ann",
    password: str = "secret",  # noqa: S107
    method: str = "DESCRIBE",
    url: str = STREAM,
) -> str:
    authenticator = Authenticator(Credentials(username=name, password=password))
    authenticator.learn(offered)
    header = authenticator.authorization(method, url)
    assert header is not None
    return header


def live555(nonce: str, url: str = STREAM, method: str = "DESCRIBE") -> str:
    """As players on LIVE555 write it: no qop, no algorithm, and the URL of the stream whatever is asked for."""
    secret = password_hash(Scheme.DIGEST_MD5, "ann", REALM, "secret")
    response = digest_response(Scheme.DIGEST_MD5, secret, method, url, nonce)
    return f'Digest username="ann", realm="{REALM}", nonce="{nonce}", uri="{url}", response="{response}"'


def refused(authorization: str, *, gate: Gate = GATE, url: str = STREAM, method: str = "DESCRIBE") -> str:
    with pytest.raises(UnauthorizedError) as error:
        gate.user(request(authorization, url=url, method=method), PEER, 0)
    return str(error.value)


def test_without_an_answer_both_digests_are_asked_for_the_weaker_last_and_never_basic() -> None:
    offered = parse_challenges(challenges())
    assert [challenge.scheme for challenge in offered] == [Scheme.DIGEST_SHA256, Scheme.DIGEST_MD5]
    assert all(challenge.realm == REALM and challenge.qop_auth and not challenge.stale for challenge in offered)


@pytest.mark.parametrize("scheme", [Scheme.DIGEST_SHA256, Scheme.DIGEST_MD5])
def test_a_right_password_passes_with_either_digest(scheme: Scheme) -> None:
    gate = replace(GATE, digests=(scheme,))
    assert gate.user(request(answer(offered=challenges(gate))), PEER, 1) == "ann"


def test_a_digest_that_is_not_offered_does_not_pass() -> None:
    weak = answer(offered=challenges(replace(GATE, digests=(Scheme.DIGEST_MD5,))))
    assert "wrong" in refused(weak, gate=replace(GATE, digests=(Scheme.DIGEST_SHA256,)))


def test_one_challenge_serves_every_request_of_a_session() -> None:
    authenticator = Authenticator(Credentials(username="ann", password="secret"))  # noqa: S106
    authenticator.learn(challenges())
    for method, url in (("DESCRIBE", STREAM), ("SETUP", f"{STREAM}/trackID=1"), ("PLAY", STREAM)):
        asked = request(authenticator.authorization(method, url), method=method, url=url)
        assert GATE.user(asked, PEER, 1) == "ann"


@pytest.mark.parametrize(("name", "password"), [("ann", "Secret"), ("bob", "secret"), ("", ""), ("old", "secret")])
def test_a_wrong_password_and_an_unknown_user_are_told_the_same(name: str, password: str) -> None:
    said = answer(offered=challenges(), name=name, password=password)
    assert refused(said) == "the user name or the password is wrong"
    assert not any(challenge.stale for challenge in parse_challenges(challenges(authorization=said)))


@pytest.mark.parametrize("name", ["bob", "old"])
def test_who_has_no_secret_cannot_prove_to_know_none(name: str) -> None:
    nonce = parse_challenges(challenges())[0].nonce
    response = digest_response(Scheme.DIGEST_SHA256, "", "DESCRIBE", STREAM, nonce)
    said = f'username="{name}", realm="{REALM}", nonce="{nonce}", uri="{STREAM}", response="{response}"'
    assert "wrong" in refused(f"Digest {said}, algorithm=SHA-256")


def test_a_user_whose_hash_is_of_md5_only_passes_with_that() -> None:
    md5_only = challenges()[1:]
    assert GATE.user(request(answer(offered=md5_only, name="old")), PEER, 0) == "old"


def test_a_right_password_over_an_old_nonce_is_asked_again_as_stale() -> None:
    said = answer(offered=challenges())
    late = NONCE_SECONDS + 1
    fresh = challenges(authorization=said, now=late)
    assert all(challenge.stale for challenge in parse_challenges(fresh))
    assert GATE.user(request(answer(offered=fresh)), PEER, late) == "ann"


def test_an_answer_that_another_address_repeats_is_stale() -> None:
    with pytest.raises(UnauthorizedError, match="expired"):
        GATE.user(request(answer(offered=challenges())), "192.0.2.66", 0)


def test_an_answer_to_a_proxy_of_before_a_restart_is_stale() -> None:
    before = replace(GATE, nonces=Nonces(b"o" * KEY_BYTES))
    assert "expired" in refused(answer(offered=challenges(before)))


def test_a_player_on_live555_passes_with_the_url_of_the_stream_on_every_request() -> None:
    nonce = parse_challenges(challenges())[0].nonce
    for url in (STREAM, f"{STREAM}/", f"{STREAM}/trackID=1", "*"):
        assert GATE.user(request(live555(nonce, method="SETUP"), method="SETUP", url=url), PEER, 1) == "ann"


def test_an_answer_for_another_stream_or_another_method_does_not_pass() -> None:
    said = live555(parse_challenges(challenges())[0].nonce)
    for url in ("rtsp://mesh.example:8554/lobby", "rtsp://mesh.example:8554/other?channel=1", f"{STREAM}0"):
        assert "wrong" in refused(said, url=url)
    assert "wrong" in refused(said, method="SETUP")


def test_the_url_is_checked_as_the_client_saw_it_whatever_way_its_host_is_written() -> None:
    nonce = parse_challenges(challenges())[0].nonce
    for uri in ("rtsp://public.example/lobby?channel=1", "/lobby?channel=1"):
        assert GATE.user(request(live555(nonce, uri)), PEER, 0) == "ann"


def test_basic_passes_only_where_it_is_allowed() -> None:
    said = "Basic " + base64.b64encode(b"ann:secret").decode()
    assert "wrong" in refused(said)
    assert BASIC.user(request(said), PEER, 0) == "ann"
    assert BASIC.user(request("basic  " + base64.b64encode(b"old:secret").decode()), PEER, 0) == "old"
    assert challenges(BASIC)[-1] == 'Basic realm="mesh"'


@pytest.mark.parametrize("pair", [b"ann:wrong", b"bob:secret", b"ann", b":", b"\xff:", b"ann:secret\n"])
def test_basic_with_anything_else_does_not_pass(pair: bytes) -> None:
    assert "wrong" in refused("Basic " + base64.b64encode(pair).decode(), gate=BASIC)


@pytest.mark.parametrize(
    "damage",
    [
        ("qop=auth", "qop=auth-int"),
        ("nc=00000001", "nc=1"),
        ("nc=00000001", "nc=0000000x"),
        ('realm="mesh"', 'realm="other"'),
        ("algorithm=SHA-256", "algorithm=SHA-512"),
        ("algorithm=SHA-256", "algorithm=MD5"),
        ("Digest ", "Bearer "),
        ('response="', 'response="0'),
        ('nonce="', 'no="'),
    ],
)
def test_an_answer_that_is_no_answer_to_the_question_does_not_pass(damage: tuple[str, str]) -> None:
    said = answer(offered=challenges())
    assert damage[0] in said
    assert "wrong" in refused(said.replace(*damage))


@given(st.text(max_size=80))
def test_any_text_is_refused_and_nothing_else(text: str) -> None:
    damaged = f'Digest username="ann", realm="{REALM}", nonce="{text}", response="{text}", uri="{text}"'
    for value in (text, f"Basic {text}", damaged):
        with pytest.raises(UnauthorizedError):
            BASIC.user(Request(method="PLAY", url="*", headers=Headers.trusted([("Authorization", value)])), PEER, 0)


def test_no_secret_shows() -> None:
    assert "secret" not in repr(GATE).replace("Secret", "")
    assert str(USERS["ann"].md5) not in repr(GATE)


def test_players_on_live555_see_that_a_nonce_is_stale() -> None:
    """They read the beginning of the challenge only, in one order."""
    *_, asked_last = challenges(authorization=answer(offered=challenges()), now=NONCE_SECONDS + 1)
    assert re.match(r'Digest realm="[^"]*", nonce="[^"]*", stale=true, ', asked_last)
