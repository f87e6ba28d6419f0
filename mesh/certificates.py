"""Certificates as text (PEM, RFC 7468), as far as that can be judged without reading them."""

from __future__ import annotations

import base64
import binascii
import re

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----")
_BEGIN = "-----BEGIN CERTIFICATE-----"
# What every certificate begins with in DER: a SEQUENCE.
_SEQUENCE = b"\x30"


def plain_pem(text: str) -> str:
    """The certificates of a text, without what people and tools write between them. Raises ValueError."""
    blocks = [found[0] for found in _BLOCK.finditer(text)]
    if not blocks or len(blocks) != text.count(_BEGIN):
        raise ValueError("holds no certificates in PEM" if not blocks else "holds a certificate that is not whole")
    for found in _BLOCK.finditer(text):
        try:
            der = base64.b64decode("".join(found[1].split()), validate=True)
        except binascii.Error:
            der = b""
        if not der.startswith(_SEQUENCE):
            raise ValueError("holds something in PEM that is no certificate")
    return "\n".join(blocks) + "\n"
