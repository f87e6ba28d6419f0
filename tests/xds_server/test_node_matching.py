"""Which nodes a request for client status means."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.type.matcher.v3 import node_pb2
from google.protobuf import json_format

from xds_server.node_matching import MAX_PATTERNS, MatcherError, node_test
from xds_server.subscription import Node

METADATA = {
    "region": "eu",
    "weight": 3.0,
    "count": 1.0,
    "spare": False,
    "nothing": None,
    "tags": ["fast", 7.0],
    "mesh": {"gateway": "games/lobby"},
}
NODE = Node(id="Edge-1", cluster="msm-gateway", metadata=METADATA)


def matcher(**fields: Any) -> Any:
    return json_format.ParseDict(fields, node_pb2.NodeMatcher())


def by_id(**pattern: Any) -> Any:
    return matcher(node_id=pattern)


def of(path: str, **value: Any) -> dict[str, Any]:
    return {"path": [{"key": key} for key in path.split(".")], "value": value}


def by_metadata(path: str, **value: Any) -> Any:
    return matcher(node_metadatas=[of(path, **value)])


@pytest.mark.parametrize(
    "pattern",
    [
        {"exact": "Edge-1"},
        {"exact": "edge-1", "ignore_case": True},
        {"prefix": "Ed"},
        {"suffix": "-1"},
        {"suffix": "E-1", "ignore_case": True},
        {"contains": "ge"},
        {"safe_regex": {"regex": r"Edge-\d+"}},
    ],
)
def test_a_node_id_matches_by_each_kind_of_pattern(pattern: dict[str, Any]) -> None:
    assert node_test([by_id(**pattern)])(NODE)


@pytest.mark.parametrize(
    "pattern",
    [
        {"exact": "edge-1"},
        {"prefix": "ge"},
        {"suffix": "Edge"},
        {"contains": "x"},
        {"safe_regex": {"regex": "Edge"}},
        {"safe_regex": {"regex": r"edge-\d"}, "ignore_case": True},
    ],
)
def test_a_node_id_that_a_pattern_does_not_mean_is_left_out(pattern: dict[str, Any]) -> None:
    assert not node_test([by_id(**pattern)])(NODE)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("region", {"string_match": {"prefix": "e"}}),
        ("mesh.gateway", {"string_match": {"exact": "games/lobby"}}),
        ("weight", {"double_match": {"exact": 3}}),
        ("weight", {"double_match": {"range": {"start": 3, "end": 4}}}),
        ("spare", {"bool_match": False}),
        ("nothing", {"null_match": {}}),
        ("region", {"present_match": True}),
        ("absent", {"present_match": False}),
        ("region.deeper", {"present_match": False}),
        ("tags", {"list_match": {"one_of": {"string_match": {"exact": "fast"}}}}),
        ("tags", {"list_match": {"one_of": {"double_match": {"exact": 7}}}}),
        ("region", {"or_match": {"value_matchers": [{"bool_match": True}, {"string_match": {"exact": "eu"}}]}}),
    ],
)
def test_metadata_match_by_each_kind_of_pattern(path: str, value: dict[str, Any]) -> None:
    assert node_test([by_metadata(path, **value)])(NODE)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("region", {"string_match": {"exact": "us"}}),
        ("weight", {"string_match": {"exact": "3"}}),
        ("weight", {"double_match": {"range": {"start": 2, "end": 3}}}),
        ("spare", {"double_match": {"exact": 0}}),
        ("count", {"bool_match": True}),
        ("spare", {"bool_match": True}),
        ("absent", {"null_match": {}}),
        ("absent", {"present_match": True}),
        ("mesh", {"present_match": True}),
        ("mesh", {"present_match": False}),
        ("region", {"list_match": {"one_of": {"string_match": {"exact": "eu"}}}}),
        ("tags", {"list_match": {"one_of": {"string_match": {"exact": "slow"}}}}),
        ("region", {"or_match": {"value_matchers": []}}),
    ],
)
def test_metadata_that_a_pattern_does_not_mean_are_left_out(path: str, value: dict[str, Any]) -> None:
    assert not node_test([by_metadata(path, **value)])(NODE)


def test_no_matcher_and_an_empty_one_mean_every_node() -> None:
    assert node_test([])(NODE)
    assert node_test([matcher()])(NODE)


def test_one_of_several_matchers_is_enough() -> None:
    assert node_test([by_id(exact="other"), by_id(prefix="Edge")])(NODE)


def test_within_a_matcher_everything_has_to_match() -> None:
    region = of("region", string_match={"exact": "eu"})
    spare = of("spare", bool_match=True)
    assert node_test([matcher(node_id={"prefix": "Edge"}, node_metadatas=[region])])(NODE)
    assert not node_test([matcher(node_id={"prefix": "Edge"}, node_metadatas=[region, spare])])(NODE)
    assert not node_test([matcher(node_id={"exact": "other"}, node_metadatas=[region])])(NODE)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (by_id(ignore_case=True), "one of exact, prefix, suffix, contains and safe_regex"),
        (by_id(custom={"name": "mine"}), "one of exact, prefix, suffix, contains and safe_regex"),
        (by_id(safe_regex={"regex": "("}), "RE2"),
        (matcher(node_metadatas=[{"value": {"bool_match": True}}]), "needs a path"),
        (matcher(node_metadatas=[{"path": [{"key": "region"}]}]), "region does not say which value"),
        (by_metadata("mesh.gateway"), "mesh / gateway has no pattern"),
        (by_metadata("weight", double_match={}), "neither which number nor which range"),
        (by_metadata("tags", list_match={}), "does not say which of its values"),
    ],
)
def test_a_matcher_that_cannot_be_used_is_refused_with_a_sentence(bad: Any, sentence: str) -> None:
    with pytest.raises(MatcherError, match=sentence):
        node_test([bad])


def test_a_request_has_only_so_many_patterns() -> None:
    node_test([by_id(exact="a")] * MAX_PATTERNS)
    with pytest.raises(MatcherError, match=f"more than {MAX_PATTERNS} patterns"):
        node_test([by_id(exact="a")] * (MAX_PATTERNS + 1))
