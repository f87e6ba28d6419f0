"""Names of resources."""

from __future__ import annotations

import pytest

from xds_server.names import canonical, collection_of, is_collection


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("plain?b=1&a=2#x", "plain?b=1&a=2#x"),
        ("xdstp://a/t/x?b=1&a=2", "xdstp://a/t/x?a=2&b=1"),
        ("xdstp://a/t/x?a-b=1&a=2", "xdstp://a/t/x?a=2&a-b=1"),
        ("xdstp://a/t/x#entry", "xdstp://a/t/x"),
        ("xdstp:///t/x", "xdstp:///t/x"),
    ],
)
def test_a_name_has_one_form(name: str, form: str) -> None:
    assert canonical(name) == form
    assert canonical(form) == form


@pytest.mark.parametrize(
    ("name", "collection"),
    [
        ("xdstp://a/t/x/y", "xdstp://a/t/x/*"),
        ("xdstp://a/t/x/y?k=v", "xdstp://a/t/x/*?k=v"),
        ("xdstp://a/t/x/*", None),
        ("plain/x", None),
    ],
)
def test_a_resource_is_a_member_of_one_collection(name: str, collection: str | None) -> None:
    assert collection_of(name) == collection


def test_a_collection_is_told_by_its_end() -> None:
    assert is_collection("xdstp://a/t/x/*?k=v")
    assert not is_collection("xdstp://a/t/x?k=/*")
    assert not is_collection("plain/*")
