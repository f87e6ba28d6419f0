"""Headers are found without regard to case and keep spelling and order."""

from __future__ import annotations

import pytest

from rtsp_filter.rtsp import Headers, LocalError


def test_names_are_found_without_regard_to_case() -> None:
    headers = Headers([("Cseq", "1"), ("Public", "PLAY"), ("PUBLIC", "PAUSE")])
    assert headers.get("CSeq") == "1"
    assert headers.get_all("public") == ["PLAY", "PAUSE"]
    assert "PUBLIC" in headers
    assert "Session" not in headers
    assert headers.get("Session", "none") == "none"


def test_setting_replaces_in_place_and_drops_repetitions() -> None:
    headers = Headers([("a", "1"), ("B", "2"), ("A", "3")])
    headers.set("A", "9")
    headers.set("C", "4")
    assert list(headers.items()) == [("a", "9"), ("B", "2"), ("C", "4")]


def test_removing_takes_all_of_a_name() -> None:
    headers = Headers([("a", "1"), ("B", "2"), ("A", "3")])
    headers.remove("a")
    headers.remove("missing")
    assert list(headers.items()) == [("B", "2")]


def test_a_copy_is_independent() -> None:
    headers = Headers([("a", "1")])
    copy = headers.copy()
    copy.set("a", "2")
    assert headers == Headers([("A", "1")])
    assert copy != headers


@pytest.mark.parametrize("bad", ["a\r\nb", "a\n", "\0"])
def test_line_ends_are_refused(bad: str) -> None:
    headers = Headers([("a", "1")])
    for refuse in (lambda: headers.add("b", bad), lambda: headers.set("a", bad), lambda: headers.add(bad, "b")):
        with pytest.raises(LocalError):
            refuse()


def test_what_changed_after_it_was_asked_for_is_found_as_it_is_now() -> None:
    headers = Headers([("Session", "1"), ("X", "a"), ("x", "b")])
    assert (headers.get("session"), headers.get("X"), headers.get_all("x"), headers.get("Y")) == (
        "1",
        "a",
        ["a", "b"],
        None,
    )
    headers.add("Y", "new")
    assert (headers.get("y"), "Y" in headers) == ("new", True)
    headers.set("SESSION", "2")
    assert headers.get("Session") == "2"
    headers.remove("x")
    assert (headers.get("X"), headers.get_all("X"), "X" in headers) == (None, [], False)
    assert (headers.copy().get("Session"), Headers.trusted([("A", "1")]).get("a")) == ("2", "1")
