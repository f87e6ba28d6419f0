"""Nonces that say themselves when and for whom they were made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtsp.nonces import KEY_BYTES, NONCE_SECONDS, Nonces

NONCES = Nonces(b"k" * KEY_BYTES)
PEER = "192.0.2.1"


def test_a_nonce_is_good_for_its_peer_and_its_time() -> None:
    nonce = NONCES.issue(PEER, 1000.0004)
    assert NONCES.good(nonce, PEER, 1000.0004)
    assert NONCES.good(nonce, PEER, 1000 + NONCE_SECONDS)
    assert not NONCES.good(nonce, PEER, 1000.1 + NONCE_SECONDS)
    assert not NONCES.good(nonce, PEER, 999)
    assert not NONCES.good(nonce, "192.0.2.2", 1000.0004)


def test_a_nonce_of_another_key_is_no_good() -> None:
    assert not Nonces(b"x" * KEY_BYTES).good(NONCES.issue(PEER, 0), PEER, 0)


def test_two_proxies_with_one_key_take_each_others_nonces() -> None:
    assert Nonces(b"k" * KEY_BYTES).good(NONCES.issue(PEER, 0), PEER, 1)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Nonces(b"short")


@given(st.text(max_size=60))
def test_any_other_text_is_no_nonce(text: str) -> None:
    assert not NONCES.good(text, PEER, 0)


@given(st.integers(0, 31), st.characters(codec="ascii") | st.sampled_from("-_+/=\n"))
def test_a_changed_nonce_is_no_nonce(at: int, letter: str) -> None:
    nonce = NONCES.issue(PEER, 0)
    changed = nonce[:at] + letter + nonce[at + 1 :]
    assert changed == nonce or not NONCES.good(changed, PEER, 0)
