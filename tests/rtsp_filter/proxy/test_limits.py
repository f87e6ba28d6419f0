from __future__ import annotations

import pytest

from rtsp_filter.proxy import ProxyLimits


@pytest.mark.parametrize(("session_timeout", "grace"), [(60, 10.0), (20, 10.0), (6, 3.0)])
def test_client_that_does_not_come_back_is_gone_before_the_session_timeout(session_timeout: int, grace: float) -> None:
    assert ProxyLimits(session_timeout=session_timeout).resume_grace == grace
