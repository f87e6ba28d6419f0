"""The bundled camera with a password."""

from __future__ import annotations

import secrets
from dataclasses import replace

from rtsp_filter.camera import Camera, CameraSettings
from rtsp_filter.camera.connection import Connection
from rtsp_filter.rtsp import Gate, Nonces, Request, Response, Secret, StatusCode, UnauthorizedError, respond
from rtsp_filter.rtsp.nonces import KEY_BYTES

REALM = "mesh"
PEER = "127.0.0.1"


class GuardedCamera(Camera):
    """The bundled camera behind a gate, for the user ann with the password "se:cret". `passed` has the methods of what
    got through, `refused` why the rest did not."""

    def __init__(self, *, basic: bool = False) -> None:
        super().__init__(CameraSettings(port=0))
        self.passed: list[str] = []
        self.refused: list[str] = []
        gate = Gate(
            realm=REALM,
            users={"ann": Secret.of("ann", REALM, "se:cret")},
            nonces=Nonces(secrets.token_bytes(KEY_BYTES)),
        )
        self._gate = replace(gate, digests=(), basic=True) if basic else gate

    def request_received(self, connection: Connection, request: Request) -> Response:
        try:
            self._gate.user(request, PEER, self._loop.time())
        except UnauthorizedError as error:
            self.refused.append(str(error))
            return respond(request, StatusCode.UNAUTHORIZED, error.headers)
        self.passed.append(request.method)
        return super().request_received(connection, request)

    def url_of(self, credentials: str) -> str:
        """A URL that plays, with this `user:password`."""
        return self.url.replace("rtsp://", f"rtsp://{credentials}@") + "?channel=1"
