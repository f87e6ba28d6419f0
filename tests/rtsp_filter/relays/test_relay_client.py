"""Relays as their sessions see them, without a control plane."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from rtsp_filter.relays import RelayClient, RelayError


async def test_a_relay_that_was_taken_back_fails_to_move_where_its_session_waits() -> None:
    nobody = cast(Any, SimpleNamespace())
    client = RelayClient(
        "127.0.0.1:1",
        "n",
        on_relay_lost=lambda relay_id, session_id, reason: None,
        on_end_session=lambda session_id, reason: None,
        media=nobody,
        sessions=nobody,
    )
    moved = client.move("taken back", None)
    with pytest.raises(RelayError, match="taken back"):
        await moved
