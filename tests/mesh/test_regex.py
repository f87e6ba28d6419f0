"""RE2 expressions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.regex import compile_regex, quote


def test_an_error_is_told_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"not an RE2 regular expression: missing \)"):
        compile_regex("a(")
    assert capfd.readouterr() == ("", "")


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0")))
def test_a_quoted_text_matches_itself_and_nothing_longer(text: str) -> None:
    regex = compile_regex(quote(text))
    assert regex.fullmatch(text) is not None
    assert regex.fullmatch(text + "x") is None


def test_slashes_stay_readable() -> None:
    assert quote("/a.b") == "/a\\.b"
