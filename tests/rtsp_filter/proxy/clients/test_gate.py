"""Passwords at the gate: asked for, proven, renewed; wrong ones are counted, wait, and are told to nobody."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from mesh.model import BackendTransport
from rtsp_filter.proxy.clients.gate import Admission, Gatekeeper, Owner
from rtsp_filter.proxy.limits import WRONG_PASSWORD_SECONDS
from rtsp_filter.resources.users_reading import UserList
from rtsp_filter.routes.table import Decision, Upstream
from rtsp_filter.rtsp import (
    NONCE_SECONDS,
    Authenticator,
    Credentials,
    Headers,
    Request,
    RTSPError,
    Scheme,
    Secret,
    StatusCode,
    UnauthorizedError,
    parse_challenges,
)

CLIENT, URL = "192.0.2.7", "rtsp://mesh:8554/lobby"
PASSWORDS = {"ann": "wonderland", "bob": "builder"}


def user_list(realm: str = "cameras") -> UserList:
    secrets = {name: Secret.of(name, realm, password) for name, password in PASSWORDS.items()}
    return UserList(name="crew", realm=realm, secrets=secrets, digests=(Scheme.DIGEST_SHA256, Scheme.DIGEST_MD5))


USERS = user_list()


def request(authorization: str | None = None, method: str = "DESCRIBE", url: str = URL) -> Request:
    said = [] if authorization is None else [("Authorization", authorization)]
    return Request(method=method, url=url, headers=Headers([("CSeq", "1"), *said, ("X-Other", "stays")]))


def question(keeper: Gatekeeper, asked: Request, now: float = 0.0) -> UnauthorizedError:
    with pytest.raises(UnauthorizedError) as error:
        keeper.owner(USERS, asked, CLIENT, now)
    return error.value


def proof(keeper: Gatekeeper, name: str, password: str | None = None, method: str = "DESCRIBE") -> str:
    authenticator = Authenticator(Credentials(username=name, password=password or PASSWORDS[name]))
    authenticator.learn([value for _, value in question(keeper, request()).headers])
    header = authenticator.authorization(method, URL)
    assert header is not None
    return header


def test_who_proves_a_password_is_known_by_name_and_keeps_it_from_the_camera() -> None:
    keeper = Gatekeeper()
    asked = request(proof(keeper, "ann"))
    owner = keeper.owner(USERS, asked, CLIENT, 1.0)
    assert owner == Owner(users=USERS, name="ann")
    passed = Admission(asked=asked, users="guards", owner=owner).passed
    assert list(passed.headers.items()) == [("CSeq", "1"), ("X-Other", "stays")]
    assert "ann" not in repr(owner)


def test_a_route_for_everybody_leaves_the_password_to_the_camera() -> None:
    asked = request("Basic YW5uOng=")
    assert Admission(asked=asked).passed is asked


def test_a_proof_is_good_at_another_realm_neither_for_its_users_nor_for_another_clients() -> None:
    keeper = Gatekeeper()
    asked = request(proof(keeper, "ann"))
    with pytest.raises(UnauthorizedError) as error:
        keeper.owner(user_list("elsewhere"), asked, CLIENT, 1.0)
    assert error.value.wrong
    with pytest.raises(UnauthorizedError) as error:
        keeper.owner(USERS, asked, "192.0.2.8", 1.0)
    assert not error.value.wrong


def test_a_stale_nonce_is_renewed_and_is_no_wrong_password() -> None:
    keeper = Gatekeeper()
    stale = question(keeper, request(proof(keeper, "ann")), now=NONCE_SECONDS + 1)
    assert not stale.wrong
    assert all(challenge.stale for challenge in parse_challenges([value for _, value in stale.headers]))


def test_a_session_is_its_owners_alone() -> None:
    keeper = Gatekeeper()
    owner = Owner(users=USERS, name="ann")
    keeper.check(owner, request(proof(keeper, "ann", method="TEARDOWN"), "TEARDOWN"), CLIENT, 1.0)
    with pytest.raises(UnauthorizedError):
        keeper.check(owner, request(method="TEARDOWN"), CLIENT, 1.0)
    with pytest.raises(RTSPError) as error:
        keeper.check(owner, request(proof(keeper, "bob", method="TEARDOWN"), "TEARDOWN"), CLIENT, 1.0)
    assert error.value.status == StatusCode.FORBIDDEN
    assert "ann" not in str(error.value)


def test_what_routes_have_made_of_a_request_meanwhile_is_not_followed_to_other_users() -> None:
    upstream = Upstream(
        name="a", address="192.0.2.1", port=554, base_path="", path="/", transport=BackendTransport.AUTO
    )
    decision = Decision(
        virtual_host="*",
        route="r",
        match="",
        cluster="c",
        path="/",
        users="crew",
        upstream=upstream,
        _why=lambda: (),
    )
    Admission(asked=request(), users="crew").check(decision)
    for users in ("guards", ""):
        with pytest.raises(RTSPError) as error:
            Admission(asked=request(), users=users).check(decision)
        assert error.value.status == StatusCode.SERVICE_UNAVAILABLE


async def test_a_wrong_password_is_counted_told_without_it_and_answered_late() -> None:
    heard: list[str] = []
    keeper = Gatekeeper(on_wrong=heard.append)
    asked = request(proof(keeper, "ann", "rabbit"), url="rtsp://ann:rabbit@mesh:8554/lobby")
    wrong = question(keeper, asked)
    now = asyncio.get_running_loop().time
    before = now()
    with structlog.testing.capture_logs() as logs:
        response = await keeper.refuse(asked, wrong, CLIENT)
    assert now() - before >= WRONG_PASSWORD_SECONDS * 0.99
    assert response.status == StatusCode.UNAUTHORIZED
    assert len(response.headers.get_all("WWW-Authenticate")) == 2
    assert (keeper.wrong_passwords, heard) == (1, ["crew"])
    [line] = logs
    assert (line["client"], line["url"], line["wrong_passwords"]) == (CLIENT, URL, 1)
    assert "rabbit" not in str(line)


async def test_the_first_question_is_asked_at_once_and_is_nothing_to_tell() -> None:
    keeper = Gatekeeper()
    now = asyncio.get_running_loop().time
    before = now()
    with structlog.testing.capture_logs() as logs:
        await keeper.refuse(request(), question(keeper, request()), CLIENT)
    assert now() - before < WRONG_PASSWORD_SECONDS / 2
    assert (keeper.wrong_passwords, logs) == (0, [])
