"""Files are read when they have stopped changing, and not while they are being replaced."""

from pathlib import Path

import pytest

from xds_server.sources.reading import FileState
from xds_server.sources.settling import MAX_WAIT, REPLACE_TIME, SETTLE_TIME, Files, Settling


def _files(**sizes: int) -> Files:
    return frozenset(FileState(path=Path(name), inode=1, changed_ns=0, size=size) for name, size in sizes.items())


BEFORE = _files(a=10, b=20)


def test_files_as_they_were_are_not_read() -> None:
    assert Settling(BEFORE).look(_files(a=10, b=20), 0.0) is None


def test_a_changed_file_is_read_once_it_has_settled() -> None:
    settling, after = Settling(BEFORE), _files(a=11, b=20)
    assert settling.look(after, 5.0) == pytest.approx(SETTLE_TIME)
    assert settling.look(after, 5.0 + SETTLE_TIME) == 0.0
    assert settling.look(after, 6.0) is None


def test_every_change_starts_the_wait_again() -> None:
    settling = Settling(BEFORE)
    settling.look(_files(a=11, b=20), 0.0)
    assert settling.look(_files(a=12, b=20), 0.09) == pytest.approx(SETTLE_TIME)
    assert settling.look(_files(a=12, b=20), 0.15) == pytest.approx(0.04)
    assert settling.look(_files(a=12, b=20), 0.2) == 0.0


@pytest.mark.parametrize("meanwhile", [_files(b=20), _files(a=0, b=20)])
def test_a_file_that_vanished_or_is_empty_may_come_back(meanwhile: Files) -> None:
    settling, after = Settling(BEFORE), _files(a=11, b=20)
    assert settling.look(meanwhile, 0.0) == REPLACE_TIME
    assert settling.look(after, 0.3) == pytest.approx(SETTLE_TIME)
    assert settling.look(after, 0.4) == 0.0


@pytest.mark.parametrize("gone", [_files(b=20), _files(a=0, b=20)])
def test_a_file_that_stays_away_or_empty_is_believed(gone: Files) -> None:
    settling = Settling(BEFORE)
    settling.look(gone, 0.0)
    assert settling.look(gone, REPLACE_TIME) == 0.0
    assert settling.look(gone, 1.0) is None
    assert settling.look(_files(a=0, b=21), 2.0) == pytest.approx(SETTLE_TIME)


def test_a_change_that_was_taken_back_is_no_change() -> None:
    settling = Settling(BEFORE)
    settling.look(_files(b=20), 0.0)
    assert settling.look(BEFORE, 0.2) is None
    assert settling.look(_files(b=20), 10.0) == REPLACE_TIME


def test_what_never_settles_is_read_in_the_end() -> None:
    settling, now, size = Settling(BEFORE), 0.0, 100
    while (delay := settling.look(_files(a=size, b=20), now)) != 0.0:
        assert delay is not None
        now, size = now + delay / 2, size + 1
    assert now == pytest.approx(MAX_WAIT, abs=0.001)
