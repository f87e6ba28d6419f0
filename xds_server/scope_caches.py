"""The caches of all scopes: each mesh is compiled once and goes into every cache that it concerns.

Resources are shared between caches, so one that many kinds of proxies get is serialized once. A cache of one gateway
is there as long as a proxy is served from it.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

from mesh.model import Mesh
from mesh.objects import ObjectName
from xds_server.cache import ResourceCache
from xds_server.compile.gateway_compiler import GatewayChange, GatewayCompiler
from xds_server.compile.routes import RouteCompiler
from xds_server.resources import Resource
from xds_server.scopes import Scope, ScopeKind


class ScopeCaches:
    """Caches by scope. `media` is the media plane's, which gets the gateways besides its slots.

    While `held` no proxy is answered but by `media`, whose owner holds it: until every source has been heard from,
    what is missing here may only not be known yet.
    """

    def __init__(self, media: ResourceCache, *, default_addresses: tuple[str, ...], held: bool) -> None:
        self.media = media
        self.rtsp = ResourceCache(held=held)
        self.gateways = ResourceCache(held=held)
        self._single: WeakValueDictionary[ObjectName, ResourceCache] = WeakValueDictionary()
        self._routes = RouteCompiler()
        self._gateways = GatewayCompiler(default_addresses)

    def cache_of(self, scope: Scope) -> ResourceCache:
        """The cache that proxies of a scope are served from."""
        if scope.kind is ScopeKind.RTSP:
            return self.rtsp
        if scope.kind is ScopeKind.MEDIA:
            return self.media
        return self.gateways if scope.gateway is None else self._cache_of_one(scope.gateway)

    def publish(self, mesh: Mesh) -> None:
        """Bring every cache up to date."""
        upsert, remove = self._routes.compile(mesh)
        self.rtsp.update(upsert=[Resource.of(message) for message in upsert], remove=remove)
        changes = self._gateways.compile(mesh)
        for cache in (self.media, self.gateways):
            _update(cache, changes)
        for gateway, cache in self._single.items():
            _update(cache, [change for change in changes if change.gateway == gateway])

    def release(self) -> None:
        """Every source has been heard from: answer."""
        for cache in (self.rtsp, self.gateways, *self._single.values()):
            cache.release()

    def _cache_of_one(self, gateway: ObjectName) -> ResourceCache:
        cache = self._single.get(gateway)
        if cache is None:
            cache = self._single[gateway] = ResourceCache(held=self.gateways.held)
            cache.update(upsert=self._gateways.resources(gateway))
        return cache


def _update(cache: ResourceCache, changes: list[GatewayChange]) -> None:
    """As one change: what one listener lets go of another may take."""
    upsert = [resource for change in changes for resource in change.upsert]
    taken = {(resource.type_url, resource.name) for resource in upsert}
    remove = [key for change in changes for key in change.remove if key not in taken]
    if upsert or remove:
        cache.update(upsert=upsert, remove=remove)
