"""State-of-the-world xDS for one resource type on one stream.

A response of a type with `full_state` (LDS, CDS) carries all that the client should have, so a resource it must keep
is repeated and one it must lose is left out: what the client accepted, with the new contents laid over it. Other
types carry only the new contents.

`version_info` is the sum of the fingerprints of all that the client has once it accepts the response. A client of the
wildcard that comes back with an equal sum, to this server or another, has equal content, and is sent nothing.

Source: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#basic-protocol-overview
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from xds_server.resources import Resource
from xds_server.subscription.base import WILDCARD, Contents, Subscription
from xds_server.wire import text_field


class SotwSubscription(Subscription):
    """Reads DiscoveryRequests of one type, writes DiscoveryResponses."""

    _last_nonce = ""
    _claimed = ""
    _begun = False
    _ever_named = False
    _known = False
    """The client has accepted a response on this stream, so what it holds of a full-state type is known."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._accepted: dict[str, Resource] = {}
        self._sum = 0

    def receive(self, request: Any) -> None:
        """An ACK, a NACK or a subscription; a request that does not answer the latest response is ignored."""
        if request.response_nonce != self._last_nonce and self._begun:
            return
        if self.answers(request):
            if request.HasField("error_detail"):
                self._refuse(request.error_detail.message)
            else:
                self._acknowledge()
        if not self._begun:
            self._begun = True
            self._claimed = request.version_info
        self._replace(dict.fromkeys(request.resource_names))

    def answers(self, request: Any) -> bool:
        """Is this the answer to the response in flight?"""
        return self.in_flight is not None and request.response_nonce == self.in_flight.nonce

    def _replace(self, names: dict[str, None]) -> None:
        """The names of the latest request are all that the client wants."""
        wildcard = WILDCARD in names or (not names and not self._ever_named and self.kind.legacy_wildcard)
        self._ever_named = self._ever_named or bool(names)
        names.pop(WILDCARD, None)
        added = [name for name in names if name not in self.names]
        asks_more = bool(added) or (wildcard and not self.wildcard)
        if wildcard and not self.wildcard:
            self._subscribe_all()
        for name in [name for name in self.names if name not in names]:
            self._unsubscribe(name)
        if self.wildcard and not wildcard:
            self._unsubscribe_all()
        for name in added:
            self._subscribe(name)
        self._force(added)
        if asks_more and self.kind.full_state:
            self._owes_answer = True

    def _forget(self, names: Iterable[str]) -> None:
        names = tuple(names)
        super()._forget(names)
        self._lay(dict.fromkeys(names))

    def _accept(self, contents: Contents) -> None:
        super()._accept(contents)
        self._lay(contents)
        self._known = True

    def _lay(self, contents: Contents) -> None:
        """Put new contents over what the client has accepted."""
        self._sum = self._sum_with(contents)
        for name, resource in contents.items():
            if resource is None:
                self._accepted.pop(name, None)
            else:
                self._accepted[name] = resource

    def _sum_with(self, contents: Contents) -> int:
        """The sum of fingerprints once `contents` is accepted."""
        total = self._sum
        for name, resource in contents.items():
            replaced = self._accepted.get(name)
            total += (resource.fingerprint if resource else 0) - (replaced.fingerprint if replaced else 0)
        return total

    def _look(self) -> None:
        if self._claimed:
            self._check_claim()
        if self.kind.full_state and not self._known and None in self._current(self._fresh).values():
            # From another stream it may hold what has gone now, so it needs a state without it.
            self._owes_answer = True
        super()._look()

    def _check_claim(self) -> None:
        """The client may have from another stream exactly what it should have; then there is nothing to send.

        Only a client of the wildcard can: one that asks by name may have let go of a name since, and a request does
        not tell.
        """
        wanted = self._cache.resources(self.kind.type_url)
        everything = self.wildcard and not self.names
        if everything and self._claimed == _version_info(sum(r.fingerprint for r in wanted.values())):
            self._accept(dict(wanted))
            self._report({name: resource.version for name, resource in wanted.items()})
            for waiting in (self._fresh, self._updates, self._removals, self._forced):
                waiting.clear()
            self._owes_answer = False
            self._claimed = ""
        elif not everything or not self._cache.held:
            self._claimed = ""

    def _batch(self, removals: bool) -> Contents | None:
        contents = self._current(self._updates)
        self._updates.clear()
        self._forced.difference_update(contents)
        if self.kind.full_state:
            if removals:
                contents.update(dict.fromkeys(self._removals))
                self._removals.clear()
            return contents if contents or self._owes_answer else None
        self._drop_removed()
        contents = {name: resource for name, resource in contents.items() if resource is not None}
        return contents or None

    def _drop_removed(self) -> None:
        """Only a full state can remove; of other types the client lets go by itself."""
        gone: Contents = dict.fromkeys(self._removals)
        self._accept(gone)
        self._report(dict.fromkeys(gone))
        self._removals.clear()

    def _encode(self, nonce: str, contents: Contents) -> bytes:
        self._last_nonce = nonce
        sent = {**self._accepted, **contents} if self.kind.full_state else contents
        parts = [
            text_field(1, _version_info(self._sum_with(contents))),
            text_field(4, self.kind.type_url),
            text_field(5, nonce),
        ]
        for resource in sent.values():
            if resource is not None:
                parts.extend(resource.sotw_parts())
        return b"".join(parts)


def _version_info(total: int) -> str:
    return f"{total % (1 << 128):032x}"
