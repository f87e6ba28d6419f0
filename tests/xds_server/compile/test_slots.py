"""Names of slots, and of what is none."""

import pytest

from xds_server.compile.slots import Flow, flow_name, slot_of


@pytest.mark.parametrize("flow", Flow)
def test_a_name_tells_its_slot(flow: Flow) -> None:
    assert slot_of(flow_name(17, flow)) == 17


@pytest.mark.parametrize("name", ["gateway/default/edge/slot-1-rtp", "slot-1-rtp/loop", "slot-x-rtp", "slot-1", ""])
def test_other_names_are_no_slots(name: str) -> None:
    assert slot_of(name) is None
