"""What a process proves itself with: an X509-SVID, and the bundles of the trust domains that it believes.

Sources: SPIFFE's X509-SVID and Trust Domain and Bundle specifications.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


class IdentityError(Exception):
    """Somebody cannot prove who they are; the message says who, why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An X509-SVID with its key, and who is believed.

    spiffe_id: as in `spiffe://example.org/ns/media/sa/rtsp-proxy`. certificates: PEM, the SVID's own first, then those
    between it and its trust domain's authorities. key: PEM (PKCS #8). expires_at: seconds since 1970. authorities: PEM
    by the name of the trust domain whose identities they sign; the own domain and those it is federated with.
    """

    spiffe_id: str
    certificates: str
    key: str = field(repr=False)
    expires_at: float
    authorities: Mapping[str, str]

    @property
    def trust_domain(self) -> str:
        """The name of the trust domain that this identity is of."""
        return self.spiffe_id.removeprefix("spiffe://").partition("/")[0]


class IdentitySource(Protocol):
    """Where a process has its identity from; whoever uses it asks anew for every connection."""

    def identity(self) -> Identity:
        """The newest one. Raises IdentityError when there is none, or none that has not expired."""

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called, on the event loop, whenever there is a newer one; gives what ends that."""
