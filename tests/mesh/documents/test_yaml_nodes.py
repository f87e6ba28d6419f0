"""YAML becomes values that know their lines, within limits."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.documents import yaml_nodes
from mesh.documents.yaml_nodes import MAX_DEPTH, YamlError, parse_yaml


def _plain(text: str) -> list[object]:
    return [document.root.plain() for document in parse_yaml(text)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("no", "no"),
        ("on", "on"),
        ("554", 554),
        ("0554", 554),
        ("0x1F", 31),
        ("1.5e3", 1500.0),
        ("12:30:00", "12:30:00"),
        ("2024-05-06", "2024-05-06"),
        ("'554'", "554"),
        ("!!str 554", "554"),
        ("9" * 30, "9" * 30),
    ],
)
def test_plain_values_follow_the_core_schema(text: str, value: object) -> None:
    assert _plain(f"a: {text}") == [{"a": value}]


def test_null_counts_as_absent() -> None:
    assert _plain("a: null\nb:\nc: ~\nd: 1") == [{"d": 1}]


def test_empty_documents_are_left_out() -> None:
    assert _plain("---\n# nothing\n---\na: 1\n---\n") == [{"a": 1}]


def test_lines_lead_to_keys_items_and_what_surrounds_the_missing() -> None:
    (document,) = parse_yaml("\na: 1\nlist:\n  - x: 1\n  - x:\n      y: 2\n")
    line = document.root.line_of
    assert line(("a",)) == 2
    assert line(("list",)) == 3
    assert line(("list", 1)) == 5
    assert line(("list", 1, "x", "y")) == 6
    assert line(("list", 1, "x", "missing", 7)) == 5


def test_duplicate_keys_are_seen_with_both_lines() -> None:
    (document,) = parse_yaml("a:\n  b: 1\n  c: 2\n  b: 3\n")
    (duplicate,) = document.duplicates
    assert (duplicate.path, duplicate.line, duplicate.first_line) == (("a", "b"), 4, 2)


def test_an_alias_stands_for_its_anchor() -> None:
    assert _plain("a: &x {b: 1}\nc: *x") == [{"a": {"b": 1}, "c": {"b": 1}}]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: [1", 2, "not YAML"),
        ("a: 1\nb: 2: 3", 2, "not YAML"),
        ("a: *nothing", 1, "nothing before it"),
        ("a: &x [*x]", 1, "nothing before it"),
        ("a: 1\nb: !!python/object:os.system x", 2, "tag"),
        ("a: !secret {}", 1, "tag"),
        ("[1, 2]: x", 1, "plain text"),
        ("a: \x07", 1, "not YAML"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(YamlError, match=message) as caught:
        _plain(text)
    assert caught.value.line == line


def test_depth_is_limited() -> None:
    with pytest.raises(YamlError, match=f"deeper than {MAX_DEPTH}"):
        _plain("[" * 100_000)


def test_an_alias_bomb_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_nodes, "MAX_NODES", 1000)
    bomb = "a0: &a0 [x, x, x, x]\n"
    bomb += "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}, *a{i - 1}]\n" for i in range(1, 30))
    with pytest.raises(YamlError, match="more than 1000 values") as caught:
        _plain(bomb)
    assert caught.value.line == 5


_TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=8)
_JSON = st.recursive(
    st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_TEXT, _JSON, min_size=1, max_size=4))
def test_json_is_yaml(value: dict[str, object]) -> None:
    assert _plain(json.dumps(value, ensure_ascii=False)) == [value]


@given(st.text(alphabet="ab:-&*![]{}'\"\n #|>%@`,?\t0", max_size=60))
def test_any_text_gives_values_or_our_error(text: str) -> None:
    try:
        _plain(text)
    except YamlError as error:
        assert error.line >= 1


@pytest.mark.parametrize(("text", "line"), [("a:\n\tb: 1\n", 2), ("a:\n  b: 1\n \tc: 2\n", 3), ("\ta: 1\n", 1)])
def test_a_tab_in_the_indentation_is_named(text: str, line: int) -> None:
    with pytest.raises(yaml_nodes.YamlError, match="a tab in the indentation; YAML allows only spaces there") as caught:
        list(yaml_nodes.parse_yaml(text))
    assert caught.value.line == line
