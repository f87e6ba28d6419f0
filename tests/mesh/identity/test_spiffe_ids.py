"""What is a SPIFFE ID, and that a template never names two workloads alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.identity import IdTemplate, checked_id, trust_domain_of
from mesh.identity.spiffe_ids import MAX_ID_BYTES, MAX_TRUST_DOMAIN_BYTES

SEGMENTS = st.from_regex(r"[-a-zA-Z0-9_]([-a-zA-Z0-9_.]{0,8}[-a-zA-Z0-9_])?", fullmatch=True)
DOMAINS = st.from_regex(r"[a-z0-9][-a-z0-9._]{0,20}", fullmatch=True)
LONGEST = "spiffe://a/" + "b" * (MAX_ID_BYTES - len("spiffe://a/"))


@pytest.mark.parametrize(
    "text",
    [
        "spiffe://example.org",
        "spiffe://example.org/ns/media/sa/rtsp-proxy",
        "spiffe://under_score-1.2/A/b.c/_/...",
        f"spiffe://{'a' * MAX_TRUST_DOMAIN_BYTES}/b",
        LONGEST,
    ],
)
def test_a_spiffe_id_is_taken_as_it_is(text: str) -> None:
    assert checked_id(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must begin with spiffe://"),
        ("https://example.org/a", "must begin with spiffe://"),
        ("SPIFFE://example.org/a", "must begin with spiffe://"),
        ("spiffe://", "trust domain"),
        ("spiffe:///a", "trust domain"),
        ("spiffe://Example.org/a", "trust domain"),
        ("spiffe://example.org:8443/a", "no port and no user"),
        ("spiffe://user@example.org/a", "no port and no user"),
        ("spiffe://example.org?a", "trust domain"),
        ("spiffe://example.org\n/a", "trust domain"),
        ("spiffe://exämple.org/a", "trust domain"),
        (f"spiffe://{'a' * (MAX_TRUST_DOMAIN_BYTES + 1)}/b", "trust domain has more than 255 bytes"),
        (f"{LONGEST}b", "more than 2048 bytes"),
        ("spiffe://example.org/", "empty segment"),
        ("spiffe://example.org//a", "empty segment"),
        ("spiffe://example.org/a/", "empty segment"),
        ("spiffe://example.org/./a", "'.' or '..'"),
        ("spiffe://example.org/a/..", "'.' or '..'"),
        ("spiffe://example.org/a%2Fb", "no '%'"),
        ("spiffe://example.org/a?b", "no query"),
        ("spiffe://example.org/a#b", "no '#'"),
        ("spiffe://example.org/a\n", "in its path"),
        ("spiffe://example.org/\ud800", "in its path"),
    ],
)
def test_what_is_no_spiffe_id_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="is no SPIFFE ID") as error:
        checked_id(text)
    assert why in str(error.value)


def test_an_error_repeats_little_of_what_it_refuses_and_no_control_characters() -> None:
    with pytest.raises(ValueError, match="no SPIFFE ID") as error:
        checked_id("spiffe://example.org/\x1b[2J" + "a" * MAX_ID_BYTES)
    assert "\x1b" not in str(error.value)
    assert len(str(error.value)) < 400


@given(st.text())
def test_any_text_is_an_id_or_a_value_error(text: str) -> None:
    for candidate in (text, f"spiffe://{text}", f"spiffe://example.org/{text}"):
        try:
            assert checked_id(candidate) == candidate
        except ValueError:
            continue


@given(DOMAINS, SEGMENTS, SEGMENTS)
def test_the_default_template_is_that_of_kubernetes(domain: str, namespace: str, account: str) -> None:
    made = IdTemplate().id_of(trust_domain=domain, namespace=namespace, service_account=account)
    assert made == checked_id(f"spiffe://{domain}/ns/{namespace}/sa/{account}")
    assert trust_domain_of(made) == domain


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "spiffe://{trust_domain}/{pod}/{service_account}",
            "no placeholder {pod}; those that there are: {trust_domain}",
        ),
        ("spiffe://{trust_domain}/{}/{service_account}", "no placeholder {}"),
        ("spiffe://example.org/{service_account}", "must begin with spiffe://{trust_domain}/"),
        ("spiffe://{trust_domain}/{trust_domain}/{service_account}", "there only"),
        ("spiffe://{trust_domain}/ns/{namespace}", "would all have one ID"),
        ("spiffe://{trust_domain}/{namespace}-{service_account}", "two placeholders"),
        ("spiffe://{trust_domain}/{service_account", "would all have one ID"),
        ("spiffe://{trust_domain}/{service_account}}", "in its path"),
        ("spiffe://{trust_domain}/a b/{service_account}", "in its path"),
        ("spiffe://{trust_domain}/{service_account}/", "empty segment"),
    ],
)
def test_what_is_no_template_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="is no template of SPIFFE IDs") as error:
        IdTemplate(text)
    assert why in str(error.value)


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "a b", "{namespace}", "a%2fb"])
def test_a_value_that_is_no_segment_names_nobody(value: str) -> None:
    with pytest.raises(ValueError, match="cannot be the service_account of a SPIFFE ID"):
        IdTemplate().id_of(trust_domain="example.org", namespace="media", service_account=value)


PIECES = st.sampled_from(["/", "-", ".", "x", "{namespace}", "{service_account}"])


@given(st.lists(PIECES, max_size=8).map("".join), st.tuples(SEGMENTS, SEGMENTS), st.tuples(SEGMENTS, SEGMENTS))
def test_two_workloads_never_have_one_id(path: str, one: tuple[str, str], other: tuple[str, str]) -> None:
    try:
        template = IdTemplate(f"spiffe://{{trust_domain}}/{path}")
    except ValueError:
        return
    ids = [template.id_of(trust_domain="a", namespace=space, service_account=name) for space, name in (one, other)]
    meant = slice(0 if "{namespace}" in path else 1, None)
    assert (ids[0] == ids[1]) == (one[meant] == other[meant])
