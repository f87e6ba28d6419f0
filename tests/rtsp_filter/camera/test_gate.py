"""Who may play from the camera."""

from __future__ import annotations

from rtsp_filter.camera import CameraSettings
from rtsp_filter.camera.core import CameraCore
from rtsp_filter.camera.gate import gate_of
from rtsp_filter.camera.negotiation import Peer
from rtsp_filter.rtp import Clip
from rtsp_filter.rtsp import Authenticator, Credentials, Headers, Pair, Request, Response

URL = "rtsp://192.0.2.1/cam"
PEER = Peer(connection=1, remote=("192.0.2.2", 40000), local="192.0.2.1", server_ports=Pair(6000, 6001))


def user(name: str, password: str) -> Credentials:
    return Credentials(username=name, password=password)


ANN = user("ann", "wonderland")


def camera() -> CameraCore:
    return CameraCore(CameraSettings(user=ANN), Clip.load(), unix_offset=0.0)


def ask(core: CameraCore, method: str, authorization: str | None = None) -> Response:
    headers = Headers([("CSeq", "1"), *([("Authorization", authorization)] if authorization else [])])
    return core.handle(Request(method=method, url=URL, headers=headers, body=b""), PEER, 1.0)


def answer(core: CameraCore, credentials: Credentials) -> Response:
    """The camera's answer to somebody who answers its question."""
    authenticator = Authenticator(credentials)
    authenticator.learn(ask(core, "DESCRIBE").headers.get_all("WWW-Authenticate"))
    return ask(core, "DESCRIBE", authenticator.authorization("DESCRIBE", URL))


def test_a_camera_without_a_user_asks_nobody() -> None:
    assert gate_of(None) is None


def test_everything_but_options_asks_for_the_password() -> None:
    core = camera()
    methods = ("DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "SET_PARAMETER")
    assert {ask(core, method).status for method in methods} == {401}
    assert ask(core, "OPTIONS").status == 200


def test_the_user_passes_and_others_are_asked_again() -> None:
    core = camera()
    assert answer(core, ANN).status == 200
    assert answer(core, user("ann", "rabbit")).status == 401
    assert answer(core, user("eve", "wonderland")).status == 401
