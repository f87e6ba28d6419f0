"""The gate on the wire: what is asked for a password, whose a session is, and the ways around that there are not."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rtsp_filter.camera import Camera, CameraSettings
from rtsp_filter.proxy import RTSPProxy
from rtsp_filter.proxy.clients.gate import Gatekeeper
from rtsp_filter.proxy.limits import WRONG_PASSWORD_SECONDS
from rtsp_filter.rtsp import (
    Authenticator,
    Credentials,
    Nonces,
    Request,
    Response,
    RTSPError,
    SessionHeader,
    StatusCode,
    respond,
)
from rtsp_filter.rtsp.nonces import KEY_BYTES
from tests.peers.marked_camera import MarkedCamera
from tests.peers.mesh import Mesh
from tests.peers.players import Player, Transport, play
from tests.peers.ports import reserve_ports
from tests.peers.process import Process
from tests.peers.rtsp_proxy import running_proxy
from tests.peers.rtsp_wire import RTSPWire, eventually
from tests.peers.scripted_camera import ScriptedCamera

pytestmark = pytest.mark.integration

TCP = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")
KNOWN = {"ann": "wonderland", "bob": "builder"}
SDP = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=control:trackID=0\r\n"
DOCUMENTS = """
apiVersion: mediastreamingmesh.io/v1alpha1
kind: RTSPRoute
metadata: {{name: house}}
spec:
  rules:
    - name: watch
      matches: [{{path: {{value: /camera}}}}]
      filters: [{{type: ExtensionRef, extensionRef: &guards
        {{group: mediastreamingmesh.io, kind: AuthenticationFilter, name: guards}}}}]
      backendRefs: [{{kind: Backend, name: camera}}]
    - name: publish
      matches: [{{path: {{value: /camera}}, method: ANNOUNCE}}]
      filters: [{{type: ExtensionRef, extensionRef:
        {{group: mediastreamingmesh.io, kind: AuthenticationFilter, name: crew}}}}]
      backendRefs: [{{kind: Backend, name: camera}}]
    - name: stage
      matches: [{{path: {{value: /stage}}}}]
      filters: [{{type: ExtensionRef, extensionRef:
        {{group: mediastreamingmesh.io, kind: AuthenticationFilter, name: audience}}}}]
      backendRefs: [{{kind: Backend, name: camera}}]
    - name: perform
      matches: [{{path: {{value: /stage}}, method: ANNOUNCE}}]
      filters: [{{type: ExtensionRef, extensionRef:
        {{group: mediastreamingmesh.io, kind: AuthenticationFilter, name: crew}}}}]
      backendRefs: [{{kind: Backend, name: camera}}]
    - name: open
      matches: [{{path: {{value: /open}}}}]
      backendRefs: [{{kind: Backend, name: camera}}]
    - name: locked
      matches: [{{path: {{value: /locked}}}}]
      filters: [{{type: ExtensionRef, extensionRef: *guards}}]
      backendRefs: [{{kind: Backend, name: locked}}]
    - name: known
      matches: [{{path: {{value: /passed}}}}]
      backendRefs: [{{kind: Backend, name: locked}}]
    - name: away
      matches: [{{path: {{value: /away}}}}]
      filters:
        - {{type: ExtensionRef, extensionRef: *guards}}
        - {{type: RequestRedirect, requestRedirect: {{path: {{type: ReplaceFullPath, replaceFullPath: /camera}}}}}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: AuthenticationFilter
metadata: {{name: guards}}
spec: {{realm: house, users: [{{secretRef: {{name: ann}}}}, {{secretRef: {{name: bob}}}}]}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: AuthenticationFilter
metadata: {{name: audience}}
spec: {{realm: house, users: [{{secretRef: {{name: ann}}}}]}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: AuthenticationFilter
metadata: {{name: crew}}
spec: {{realm: house, users: [{{secretRef: {{name: bob}}}}]}}
---
apiVersion: v1
kind: Secret
metadata: {{name: ann}}
stringData: {{username: ann, password: {password}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: bob}}
stringData: {{username: bob, password: builder}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {{name: camera}}
spec: {{endpoints: [{{name: one, address: 127.0.0.1, port: {port}}}]}}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {{name: locked}}
spec: {{endpoints: [{{name: one, address: 127.0.0.1, port: {locked}}}]}}
"""


def documents(camera: ScriptedCamera, locked: ScriptedCamera, password: str) -> str:
    """With this password of ann's."""
    return DOCUMENTS.format(port=camera.port, locked=locked.port, password=password)


@dataclass(slots=True)
class Someone:
    """A client's connection; asked for a password, it says its own."""

    wire: RTSPWire
    authenticator: Authenticator | None = None

    async def ask(self, method: str, url: str, *headers: tuple[str, str], body: bytes = b"") -> Response:
        response = await self.wire.ask(method, url, *self._proof(method, url), *headers, body=body)
        if response.status == 401 and self.authenticator is not None:
            self.authenticator.learn(response.headers.get_all("WWW-Authenticate"))
            response = await self.wire.ask(method, url, *self._proof(method, url), *headers, body=body)
        return response

    def _proof(self, method: str, url: str) -> list[tuple[str, str]]:
        value = None if self.authenticator is None else self.authenticator.authorization(method, url)
        return [] if value is None else [("Authorization", value)]

    async def session(self, url: str, *, described: bool = True) -> tuple[str, str]:
        """The Session header of a session that is set up."""
        if described:
            assert (await self.ask("DESCRIBE", url)).status == 200
        response = await self.ask("SETUP", f"{url}/trackID=0", TCP)
        assert response.status == 200, response
        return "Session", SessionHeader.parse(response.headers.get("Session") or "").id


async def connected(stack: AsyncExitStack, place: str, name: str = "", password: str = "") -> Someone:
    """A client on a connection of its own to host:port."""
    host, _, port = place.rpartition(":")
    wire = await RTSPWire.open(host, int(port))
    stack.push_async_callback(wire.close)
    credentials = Credentials(username=name, password=password or KNOWN.get(name, ""))
    return Someone(wire, Authenticator(credentials) if name else None)


def answer(request: Request) -> Response:
    """A camera that has any stream, and no password."""
    headers = [("Session", "12345678")]
    if request.method == "DESCRIBE":
        body = respond(request, StatusCode.OK, [("Content-Type", "application/sdp")])
        return replace(body, body=SDP)
    if request.method == "SETUP":
        headers.append(("Transport", request.headers.get("Transport") or ""))
    return respond(request, StatusCode.OK, headers)


def ask_for_a_password(request: Request) -> Response:
    return respond(request, StatusCode.UNAUTHORIZED, [("WWW-Authenticate", 'Basic realm="camera"')])


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    mesh: Mesh
    proxy: RTSPProxy
    camera: ScriptedCamera
    locked: ScriptedCamera
    file: Path
    stack: AsyncExitStack

    async def someone(self, name: str = "", password: str = "") -> Someone:
        """A client on a connection of its own."""
        return await connected(self.stack, self.mesh.rtsp, name, password)

    def write(self, password: str) -> None:
        """The documents with another password of ann's."""
        self.file.write_text(documents(self.camera, self.locked, password))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        camera = await stack.enter_async_context(ScriptedCamera(answer))
        locked = await stack.enter_async_context(ScriptedCamera(ask_for_a_password))
        mesh = Mesh()
        stack.push_async_callback(asyncio.to_thread, mesh.close)
        file = tmp_path / "mesh.yaml"
        file.write_text(documents(camera, locked, KNOWN["ann"]))
        await asyncio.to_thread(mesh.serve, "-f", str(file))
        proxy = await stack.enter_async_context(running_proxy(mesh))
        yield Scene(mesh=mesh, proxy=proxy, camera=camera, locked=locked, file=file, stack=stack)


async def test_nothing_is_asked_of_a_camera_before_a_password_is_proven(scene: Scene) -> None:
    nobody, url = await scene.someone(), scene.mesh.url("/camera")
    assert (await nobody.ask("OPTIONS", url)).status == 200
    for method, headers, body in (("DESCRIBE", (), b""), ("ANNOUNCE", (), SDP), ("SETUP", (TCP,), b"")):
        refused = await nobody.ask(method, url, *headers, body=body)
        assert refused.status == 401
        questions = refused.headers.get_all("WWW-Authenticate")
        assert [question.partition(",")[0] for question in questions] == ['Digest realm="house"'] * 2
    assert (await nobody.ask("DESCRIBE", scene.mesh.url("/away"))).status == 401
    assert (await (await scene.someone("ann")).ask("DESCRIBE", scene.mesh.url("/away"))).status == 302
    assert (scene.camera.connections, scene.camera.requests) == (0, [])


async def test_a_session_is_its_users_alone_on_whatever_connection(scene: Scene) -> None:
    ann, url = await scene.someone("ann"), scene.mesh.url("/camera")
    named = await ann.session(url)
    asked = len(scene.camera.requests)
    for name, status in (("", 401), ("bob", 403)):
        other = await scene.someone(name)
        for method in ("PLAY", "PAUSE", "RECORD", "GET_PARAMETER", "SET_PARAMETER", "OPTIONS", "TEARDOWN"):
            assert (await other.ask(method, url, named)).status == status, method
        assert (await other.ask("SETUP", f"{url}/trackID=0", named, TCP)).status == status
    assert len(scene.camera.requests) == asked
    assert (await ann.ask("PLAY", url, named)).status == 200
    again = await scene.someone("ann")
    assert (await again.ask("GET_PARAMETER", url, named)).status == 200
    assert (await again.ask("TEARDOWN", url, named)).status == 200
    assert all(request.headers.get("Authorization") is None for request in scene.camera.requests)


async def test_a_session_that_everybody_may_have_leads_to_nothing_else(scene: Scene) -> None:
    nobody, url, closed = await scene.someone(), scene.mesh.url("/open"), scene.mesh.url("/camera")
    named = await nobody.session(url, described=False)
    for other in (closed, f"{closed}/trackID=1", f"{url}/../camera", f"{url}/%2e%2e/camera"):
        assert (await nobody.ask("SETUP", other, named, TCP)).status == 403, other
        assert (await nobody.ask("PLAY", other, named)).status == 403, other
    assert (await nobody.ask("DESCRIBE", closed, named)).status == 401
    assert (await nobody.ask("ANNOUNCE", closed, named, body=SDP)).status == 401
    assert {request.url.rpartition("/open")[1] for request in scene.camera.requests} == {"/open"}
    assert (await nobody.ask("PLAY", url, named)).status == 200


async def test_who_may_watch_may_not_record_in_a_session_of_his_own(scene: Scene) -> None:
    url = scene.mesh.url("/camera")
    ann, bob = await scene.someone("ann"), await scene.someone("bob")
    for described in (True, False):
        named = await ann.session(url, described=described)
        for way in (url, scene.mesh.url("/open"), "*"):
            assert (await ann.ask("RECORD", way, named)).status == 403, way
        assert (await ann.ask("TEARDOWN", url, named)).status == 200
    assert (await ann.ask("ANNOUNCE", url, body=SDP)).status == 401
    assert (await bob.ask("ANNOUNCE", url, body=SDP)).status == 200
    setup = await bob.ask("SETUP", f"{url}/trackID=0", (TCP[0], f"{TCP[1]};mode=record"))
    named = "Session", SessionHeader.parse(setup.headers.get("Session") or "").id
    assert (await bob.ask("RECORD", url, named)).status == 200


async def test_who_may_publish_may_not_watch_in_a_session_of_his_own(scene: Scene) -> None:
    url, bob = scene.mesh.url("/stage"), await scene.someone("bob")
    assert (await bob.ask("ANNOUNCE", url, body=SDP)).status == 200
    setup = await bob.ask("SETUP", f"{url}/trackID=0", TCP)
    named = "Session", SessionHeader.parse(setup.headers.get("Session") or "").id
    for way in (url, scene.mesh.url("/open"), "*"):
        assert (await bob.ask("PLAY", way, named)).status == 403, way
    assert (await bob.ask("RECORD", url, named)).status == 200


async def test_a_camera_that_wants_a_password_of_its_own_does_not_ask_who_has_proven_one(scene: Scene) -> None:
    ann = await scene.someone("ann")
    refused = await ann.ask("DESCRIBE", scene.mesh.url("/locked"))
    assert (refused.status, refused.headers.get("WWW-Authenticate")) == (502, None)
    assert b"the camera wants a password of its own" in refused.body
    await eventually(lambda: scene.locked.connections == 0, "the end of a connection of no use")
    passed = await ann.wire.ask("DESCRIBE", scene.mesh.url("/passed"))
    assert (passed.status, passed.headers.get("WWW-Authenticate")) == (401, 'Basic realm="camera"')


async def test_a_new_password_is_for_what_begins_and_sessions_go_on_with_theirs(scene: Scene) -> None:
    ann, url = await scene.someone("ann"), scene.mesh.url("/camera")
    named = await ann.session(url)
    before = scene.proxy.users("AuthenticationFilter/default/guards")
    scene.write("looking-glass")
    await eventually(lambda: scene.proxy.users("AuthenticationFilter/default/guards") is not before, "the new password")
    assert (await (await scene.someone("ann", "looking-glass")).ask("DESCRIBE", url)).status == 200
    assert (await (await scene.someone("ann")).ask("DESCRIBE", url)).status == 401
    assert (await ann.ask("PLAY", url, named)).status == 200
    assert (await ann.ask("TEARDOWN", url, named)).status == 200


class Once(Nonces):
    """Each is good for one request, so that players are told of stale ones as often as can be."""

    def __init__(self) -> None:
        super().__init__(secrets.token_bytes(KEY_BYTES))
        self.used: set[str] = set()
        self.stale = 0

    def good(self, nonce: str, peer: str, now: float) -> bool:
        known = nonce in self.used
        self.used.add(nonce)
        self.stale += known
        return not known and super().good(nonce, peer, now)


@pytest.mark.parametrize("player", list(Player))
async def test_players_renew_a_stale_nonce_by_themselves_whatever_they_ask_for(player: Player, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        camera = await stack.enter_async_context(Camera(CameraSettings(port=0)))
        mesh = Mesh()
        stack.push_async_callback(asyncio.to_thread, mesh.close)
        file = tmp_path / "mesh.yaml"
        file.write_text(DOCUMENTS.format(port=camera.port, locked=camera.port, password=KNOWN["ann"]))
        await asyncio.to_thread(mesh.serve, "-f", str(file))
        proxy = await stack.enter_async_context(running_proxy(mesh))
        nonces = Once()
        proxy.gatekeeper = Gatekeeper(nonces)
        url = mesh.url("/camera").replace("://", f"://ann:{KNOWN['ann']}@")
        await asyncio.to_thread(play, player, url, Transport.TCP, frames=5)
        # Two tracks are set up, then played.
        assert nonces.stale >= 3
        assert proxy.gatekeeper.wrong_passwords == 0


async def test_users_that_are_not_known_are_nobody(scene: Scene) -> None:
    with pytest.raises(RTSPError, match="not known") as error:
        scene.proxy.users("AuthenticationFilter/default/others")
    assert error.value.status == StatusCode.SERVICE_UNAVAILABLE


async def test_a_connection_guesses_no_faster_than_the_gate_lets_it(scene: Scene) -> None:
    guesser, url = await scene.someone("ann", "rabbit"), scene.mesh.url("/camera")
    now = asyncio.get_running_loop().time
    assert (await guesser.ask("DESCRIBE", url)).status == 401
    before, guesses = now(), 2
    for _ in range(guesses):
        guesser.wire.write(guesser.wire.request("DESCRIBE", url, *guesser._proof("DESCRIBE", url)))
    for _ in range(guesses):
        assert (await guesser.wire.response()).status == 401
    assert now() - before >= guesses * WRONG_PASSWORD_SECONDS * 0.99
    assert scene.proxy.gatekeeper.wrong_passwords == guesses + 1
    assert scene.camera.requests == []
    told = f'msm_wrong_passwords_total{{users="default/guards"}} {guesses + 1:.1f}\n'
    await eventually(lambda: told in scene.mesh.fetch("GET", "/metrics")[1], "the count in the metrics")


async def test_a_session_that_goes_on_at_another_proxy_stays_its_users(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        camera = await stack.enter_async_context(MarkedCamera(lasting=True))
        ports = stack.enter_context(reserve_ports(3))
        mesh, other = Mesh(), f"127.0.0.1:{ports.take()}"
        stack.push_async_callback(asyncio.to_thread, mesh.close)
        file = tmp_path / "mesh.yaml"
        file.write_text(DOCUMENTS.format(port=camera.port, locked=camera.port, password=KNOWN["ann"]))
        first = await asyncio.to_thread(two_proxies, mesh, other, str(file))
        url = mesh.url("/camera/ann")
        ann = await connected(stack, mesh.rtsp, "ann")
        assert (await ann.ask("DESCRIBE", url)).status == 200
        udp = ("Transport", f"RTP/AVP;unicast;client_port={ports.take()}-{ports.take()}")
        setup = await ann.ask("SETUP", f"{url}/track=0", udp)
        named = "Session", SessionHeader.parse(setup.headers.get("Session") or "").id
        assert (await ann.ask("PLAY", url, named)).status == 200
        await eventually(lambda: [each["state"] for each in mesh.items("/v1/sessions")] == ["playing"], "its report")
        await asyncio.to_thread(first.kill)
        await eventually(lambda: [each["proxy"] for each in mesh.items("/v1/sessions")] == ["second"], "going on")
        for name, status in (("", 401), ("bob", 403), ("ann", 200)):
            someone = await connected(stack, other, name)
            assert (await someone.ask("GET_PARAMETER", url, named)).status == status
        assert (await someone.ask("TEARDOWN", url, named)).status == 200


def two_proxies(mesh: Mesh, other: str, file: str) -> Process:
    """A mesh with a second proxy at `other`; gives the first one."""
    control_plane, _ = mesh.serve("-f", file), mesh.envoy()
    first = mesh.proxy("--rtsp-node", "first")
    mesh.wait_ready(control_plane)
    second = mesh.start("proxy", "--rtsp", other, "--xds", mesh.xds, "--rtsp-node", "second")
    second.wait_for_line("connected to the control plane")
    return first
