"""The budget of files: what is needed for a load, and what load fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xds_server.envoy.files import RESERVED_FILES, connections_within, files_for, slots_within

COUNTS = st.integers(0, 20_000)


def of_slots(slots: int, *, workers: int, addresses: int) -> int:
    """What the slots add to what is needed without any."""
    load = {"sessions": 0, "connections": 0, "workers": workers, "addresses": addresses}
    return files_for(slots=slots, **load) - files_for(slots=0, **load)


def test_a_slot_has_two_listeners_at_each_address_on_each_worker_twice_during_an_update_and_two_sessions() -> None:
    assert of_slots(1, workers=4, addresses=1) == 2 * 2 * 4 + 2
    assert of_slots(10, workers=2, addresses=2) == 10 * (2 * 2 * 2 * 2 + 2)


@given(slots=COUNTS, workers=st.integers(1, 64), addresses=st.integers(1, 2))
def test_what_fits_is_exactly_what_was_budgeted(slots: int, workers: int, addresses: int) -> None:
    files = RESERVED_FILES + of_slots(slots, workers=workers, addresses=addresses)
    assert slots_within(files, workers=workers, addresses=addresses) == slots
    assert slots_within(files - 1, workers=workers, addresses=addresses) == max(0, slots - 1)


@pytest.mark.parametrize(("sessions", "connections"), [(1, 0), (0, 1), (1_000, 2_000)])
def test_a_session_of_a_gateway_takes_one_file_and_a_connection_two(sessions: int, connections: int) -> None:
    idle = files_for(slots=7, sessions=0, connections=0, workers=2)
    loaded = files_for(slots=7, sessions=sessions, connections=connections, workers=2)
    assert loaded - idle == sessions + 2 * connections


def test_connections_may_take_half_of_the_files_and_there_is_a_most() -> None:
    assert connections_within(20_000) == 5_000
    assert connections_within(1_000_000) == 16_384
    assert connections_within(1) == 1
