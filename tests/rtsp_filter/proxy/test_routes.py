from __future__ import annotations

from rtsp_filter.proxy.routes import RouteView
from rtsp_filter.xds import XdsState


def test_routes_are_usable_once_all_was_told_and_stay_so_while_a_change_arrives() -> None:
    view = RouteView()
    assert not view.usable
    view.update(XdsState(complete=False))
    assert not view.usable
    view.update(XdsState(complete=True))
    assert view.usable
    view.update(XdsState(complete=False))
    assert view.usable
