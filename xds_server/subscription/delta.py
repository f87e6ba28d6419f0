"""Incremental xDS for one resource type on one stream.

Source: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#incremental-xds
"""

from __future__ import annotations

from typing import Any

from xds_server.subscription.base import WILDCARD, Contents, Subscription
from xds_server.wire import text_field

MAX_RESPONSE_BYTES = 2 << 20
"""Resources beyond this wait for the next response: clients refuse messages above 4 MiB unless told otherwise, and a
smaller one keeps memory and the stream's latency bounded. A single larger resource goes alone."""


class DeltaSubscription(Subscription):
    """Reads DeltaDiscoveryRequests of one type, writes DeltaDiscoveryResponses."""

    _begun = False

    def receive(self, request: Any) -> None:
        """An ACK, a NACK or neither; each may change what is subscribed to."""
        self._settle_answer(request)
        for name in request.resource_names_unsubscribe:
            self._leave(name)
        if self._begun:
            self._join(request.resource_names_subscribe)
        else:
            self._begin(request)

    def answers(self, request: Any) -> bool:
        """Is this the answer to the response in flight?"""
        return self.in_flight is not None and request.response_nonce == self.in_flight.nonce

    def _settle_answer(self, request: Any) -> None:
        if self.answers(request):
            if request.HasField("error_detail"):
                self._refuse(request.error_detail.message)
            else:
                self._acknowledge()

    def _begin(self, request: Any) -> None:
        """The first request says what the client has from earlier streams, so that is compared and not forced."""
        self._begun = True
        self.versions.update(request.initial_resource_versions)
        names = list(request.resource_names_subscribe)
        if WILDCARD in names or (not names and self.kind.legacy_wildcard):
            self._subscribe_all()
            self._owes_answer = not self.versions
        for name in names:
            if name != WILDCARD:
                self._subscribe(name)
                self._fresh[name] = None
                if name not in self.versions:
                    self._forced.add(name)
        if not self.wildcard:
            self._forget([name for name in self.versions if name not in self.names])

    def _join(self, names: Any) -> None:
        for name in names:
            if name == WILDCARD:
                if self.wildcard:
                    self._force(self._cache.resources(self.kind.type_url))
                self._subscribe_all()
                self._owes_answer = True
            else:
                self._subscribe(name)
                self._force((name,))

    def _leave(self, name: str) -> None:
        if name == WILDCARD:
            if self.wildcard:
                self._unsubscribe_all()
        elif name in self.names:
            self._unsubscribe(name)
            if self.wildcard:
                self._force((name,))

    def _batch(self, removals: bool) -> Contents | None:
        contents: Contents = {}
        room = MAX_RESPONSE_BYTES
        while self._updates and room > 0:
            name = next(iter(self._updates))
            del self._updates[name]
            self._forced.discard(name)
            contents[name] = resource = self._cache.get(self.kind.type_url, name)
            room -= resource.wire_size if resource else len(name)
        if removals and not self._updates:
            contents.update(dict.fromkeys(self._removals))
            self._removals.clear()
        return contents if contents or self._owes_answer else None

    def _encode(self, nonce: str, contents: Contents) -> bytes:
        parts = [
            text_field(1, str(self._cache.revision)),
            text_field(4, self.kind.type_url),
            text_field(5, nonce),
        ]
        for name, resource in contents.items():
            if resource is None:
                parts.append(text_field(6, name))
            else:
                parts.extend(resource.delta_parts())
        return b"".join(parts)
