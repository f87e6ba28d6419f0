"""The queue of slots: like a sorted dictionary, at the cost of a heap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xds_server.relays.slot_queue import SlotQueue


@given(st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 5)))))
def test_the_first_is_always_the_smallest_of_what_is_there(steps: list[tuple[int, int | None]]) -> None:
    queue, model = SlotQueue(), dict[int, float]()
    for slot, key in steps:
        if key is None:
            queue.drop(slot)
            model.pop(slot, None)
        else:
            queue.put(slot, key)
            model[slot] = key
        assert len(queue) == len(model)
        assert queue.key(slot) == model.get(slot)
        assert queue.first() == min(((key, slot) for slot, key in model.items()), default=None)


def test_what_does_not_count_any_more_is_swept_away() -> None:
    queue = SlotQueue()
    for key in range(10_000):
        queue.put(0, -key)
        queue.put(1, key)
        queue.drop(1)
    assert len(queue._heap) < 200
