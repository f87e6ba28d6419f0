"""The session states of RFC 2326, and the page that shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsp_filter.rtsp import STATELESS, TRANSITIONS, Method, State, StateError, StatusCode, next_state

PAGE = Path(__file__).parents[3] / "docs" / "rtsp-states.md"

INTRODUCTION = """# States of an RTSP session

Drawn from `rtsp_filter/rtsp/states.py` by its test. The column is the method that succeeds, the cell the state after
it; 455 is the answer to a method that the state does not allow.
"""


def draw() -> str:
    methods = list(dict.fromkeys(method for _, method in TRANSITIONS))
    rows = [["state", *methods], ["---"] * (len(methods) + 1)]
    for state in State:
        after = [TRANSITIONS.get((state, method)) for method in methods]
        rows.append([state.value, *(found.value if found else "455" for found in after)])
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    stateless = ", ".join(sorted(STATELESS))
    return f"{INTRODUCTION}\n{table}\n\nAllowed in every state, changing none: {stateless}.\n"


def test_the_page_shows_the_table() -> None:
    stale = not PAGE.exists() or PAGE.read_text() != draw()
    if stale:
        PAGE.write_text(draw())
    assert not stale, "docs/rtsp-states.md was stale; it is redrawn, commit it"


def test_a_session_is_set_up_played_paused_and_torn_down() -> None:
    state = State.INIT
    for method, expected in [
        ("SETUP", State.READY),
        ("SETUP", State.READY),
        ("PLAY", State.PLAYING),
        ("PAUSE", State.READY),
        ("PLAY", State.PLAYING),
        ("TEARDOWN", State.INIT),
    ]:
        state = next_state(state, method)
        assert state is expected


@pytest.mark.parametrize(
    ("state", "method"),
    [
        (State.INIT, "PLAY"),
        (State.INIT, "PAUSE"),
        (State.READY, "PAUSE"),
        (State.PLAYING, "RECORD"),
        (State.RECORDING, "PLAY"),
        (State.READY, "FLY"),
    ],
)
def test_a_method_that_the_state_does_not_allow_is_455(state: State, method: str) -> None:
    with pytest.raises(StateError) as error:
        next_state(state, method)
    assert error.value.status is StatusCode.METHOD_NOT_VALID_IN_THIS_STATE


@pytest.mark.parametrize("method", sorted(STATELESS))
def test_methods_without_a_session_change_no_state(method: Method) -> None:
    assert all(next_state(state, method) is state for state in State)
