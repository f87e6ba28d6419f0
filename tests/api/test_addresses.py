"""Addresses as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.addresses import AddressError, HostPort, PortRange

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z][a-z0-9-]{0,20}){0,3}", fullmatch=True)
HOSTS = st.ip_addresses().map(str) | NAMES
PORTS = st.integers(min_value=0, max_value=65535)


@given(HOSTS, PORTS)
def test_what_is_written_is_read_again(host, port):
    address = HostPort(host=host, port=port)
    assert HostPort.parse(str(address)) == address


@given(st.text())
def test_garbage_gives_an_address_or_our_error(text):
    try:
        HostPort.parse(text)
    except AddressError as error:
        assert text.strip() in str(error) or text in str(error)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("[::1]:0", "::1", 0),
        ("[::]:554", "::", 554),
        ("a.example:1", "a.example", 1),
    ],
)
def test_addresses_are_taken_apart(text, host, port):
    assert HostPort.parse(text) == HostPort(host=host, port=port)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("8080", "is not HOST:PORT"),
        (":8080", "is not HOST:PORT"),
        ("::1:8080", "an IPv6 address goes in brackets"),
        ("[::x]:8080", '"::x" is no IPv6 address'),
        ("127.0.0.1:", '"" is not a port'),
        ("127.0.0.1:65536", '"65536" is not a port from 0 to 65535'),
        ("127.0.0.1:٣", "is not a port"),
        ("127.0.0.1:-1", "is not a port"),
        ("127.0.0.300:1", "neither an IP address nor a host name"),
        ("http://h:1", "an IPv6 address goes in brackets"),
        ("a b:1", "neither an IP address nor a host name"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(text, reason):
    with pytest.raises(AddressError, match=reason.replace("[", r"\[")) as caught:
        HostPort.parse(text)
    assert text in str(caught.value)


@given(PORTS, PORTS)
def test_a_range_that_is_written_is_read_again(first, last):
    assert PortRange.parse(str(PortRange(first, last))) == (first, last)


@pytest.mark.parametrize("text", ["", "20000", "20000-", "a-b", "1-2-3", "-1-5"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(AddressError, match="is not FIRST-LAST"):
        PortRange.parse(text)
