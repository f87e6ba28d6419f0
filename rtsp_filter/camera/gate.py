"""Who may play from the camera: the one user that it was told of, or anybody."""

from __future__ import annotations

import secrets

from rtsp_filter.rtsp import Credentials, Gate, Nonces, Secret
from rtsp_filter.rtsp.nonces import KEY_BYTES

REALM = "camera"


def gate_of(user: Credentials | None) -> Gate | None:
    """What checks requests for this user's password, by Digest; None: nothing does."""
    if user is None:
        return None
    return Gate(
        realm=REALM,
        users={user.username: Secret.of(user.username, REALM, user.password)},
        nonces=Nonces(secrets.token_bytes(KEY_BYTES)),
    )
