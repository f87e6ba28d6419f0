"""The session state machine of RFC 2326, appendix A, as a table.

Client (A.1) and server (A.2) have the same table: a server changes state when it grants a request, a client when it
hears so. Methods that work on no session (DESCRIBE, OPTIONS, ...) are allowed everywhere and change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from rtsp_filter.rtsp.errors import StateError
from rtsp_filter.rtsp.messages import Method


class State(Enum):
    """Of a session. Init is also the state of what is no session yet, or no more."""

    INIT = "Init"
    READY = "Ready"
    PLAYING = "Playing"
    RECORDING = "Recording"


TRANSITIONS: Mapping[tuple[State, Method], State] = MappingProxyType(
    {
        (State.INIT, Method.SETUP): State.READY,
        (State.INIT, Method.TEARDOWN): State.INIT,
        (State.READY, Method.SETUP): State.READY,
        (State.READY, Method.PLAY): State.PLAYING,
        (State.READY, Method.RECORD): State.RECORDING,
        (State.READY, Method.TEARDOWN): State.INIT,
        (State.PLAYING, Method.SETUP): State.PLAYING,
        (State.PLAYING, Method.PLAY): State.PLAYING,
        (State.PLAYING, Method.PAUSE): State.READY,
        (State.PLAYING, Method.TEARDOWN): State.INIT,
        (State.RECORDING, Method.SETUP): State.RECORDING,
        (State.RECORDING, Method.RECORD): State.RECORDING,
        (State.RECORDING, Method.PAUSE): State.READY,
        (State.RECORDING, Method.TEARDOWN): State.INIT,
    }
)

STATELESS = frozenset(
    {Method.DESCRIBE, Method.ANNOUNCE, Method.OPTIONS, Method.GET_PARAMETER, Method.SET_PARAMETER},
)
"""Allowed in every state, changing none."""


def next_state(state: State, method: str) -> State:
    """The state after this method succeeds. Raises StateError (455) where the state does not allow it."""
    if method in STATELESS:
        return state
    try:
        return TRANSITIONS[state, Method(method)]
    except (KeyError, ValueError):
        raise StateError(f"{method} is not valid in state {state.value}") from None
