"""What a played session waits for."""

from __future__ import annotations

from enum import Enum, auto


class Phase(Enum):
    """What it is; while it plays, over UDP, it may wait for a connection again."""

    CONNECTION = auto()
    OPTIONS = auto()
    DESCRIBE = auto()
    PORTS = auto()
    SETUP = auto()
    PLAY = auto()
    PLAYING = auto()
    RECONNECTION = auto()
    TEARDOWN = auto()
    ENDED = auto()
