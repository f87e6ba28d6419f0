"""What can be set about a camera."""

from __future__ import annotations

from dataclasses import dataclass

from rtsp_filter.rtsp import DEFAULT_SESSION_TIMEOUT, Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """`host` is an address to listen on, `port` 0 lets the system choose. `path` is the only one that answers
    ("/cam"); None: any does. `loss` is the share (0 to 1) of RTP packets that are numbered but not sent; `jitter` the
    most seconds by which a picture or audio frame is late; `seed` makes both repeatable. `user` is the only one who may
    play; None: anybody. `session_timeout` in whole seconds."""

    host: str = "127.0.0.1"
    port: int = 8554
    path: str | None = None
    loss: float = 0.0
    jitter: float = 0.0
    seed: int = 0
    user: Credentials | None = None
    session_timeout: int = DEFAULT_SESSION_TIMEOUT

    def __post_init__(self) -> None:
        if not 0 <= self.loss <= 1 or self.jitter < 0:
            raise ValueError("loss is a share from 0 to 1, jitter a number of seconds from 0")
