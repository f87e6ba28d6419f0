"""What the integration tests share: clips whose frames are known, and ports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers.clip import AudioCodec, Clip, make_clip
from tests.peers.ports import PortRange, reserve_ports


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[AudioCodec, Clip]:
    folder = tmp_path_factory.mktemp("clips")
    return {audio: make_clip(folder, audio) for audio in AudioCodec}


@pytest.fixture
def ports() -> Iterator[PortRange]:
    with reserve_ports() as reserved:
        yield reserved
