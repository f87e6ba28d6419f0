"""Every scope's cache holds its part of the mesh; what several have is one object; nothing is answered too early."""

import gc

from mesh.documents import compile_documents, load_documents, route_options
from mesh.model import Mesh, ObjectName, Slice, merge
from xds_server.cache import ResourceCache
from xds_server.resource_types import CLUSTER, ENDPOINT, LISTENER, ROUTE
from xds_server.scope_caches import ScopeCaches
from xds_server.scopes import Scope, ScopeKind

DOCUMENTS = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: %(gateway)s}
spec: {gatewayClassName: media-streaming-mesh, listeners: [{name: game, protocol: UDP, port: %(port)d}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: %(gateway)s}
spec: {parentRefs: [{name: %(gateway)s}], rules: [{backendRefs: [{kind: Backend, name: %(gateway)s}]}]}
---
apiVersion: mediastreamingmesh.io/v1alpha1
kind: Backend
metadata: {name: %(gateway)s}
spec: {endpoints: [{name: a, address: %(address)s, port: 7000}]}
"""
EDGE, OTHER = ObjectName("default", "edge"), ObjectName("default", "other")
TYPES = (CLUSTER, ENDPOINT, LISTENER)
RTSP, MEDIA, GATEWAYS = (Scope(kind=kind) for kind in ScopeKind)


def documents(gateway: str = "edge", port: int = 7777, address: str = "192.0.2.1") -> Slice:
    text = DOCUMENTS % {"gateway": gateway, "port": port, "address": address}
    return compile_documents(load_documents([("m", text)]), source=gateway)


def mesh(*parts: Slice) -> Mesh:
    return merge([*parts, compile_documents(route_options(["/lobby=rtsp://192.0.2.9/x"]), source="command line")])


def caches(*, held: bool = False) -> ScopeCaches:
    return ScopeCaches(ResourceCache(), default_addresses=("127.0.0.1",), held=held)


def names(cache: ResourceCache) -> set[tuple[str, str]]:
    return {(kind.short_name, name) for kind in (*TYPES, ROUTE) for name in cache.resources(kind.type_url)}


def test_each_scope_has_its_part() -> None:
    all_caches = caches()
    all_caches.publish(mesh(documents(), documents("other", 7778)))
    one = all_caches.cache_of(Scope(kind=ScopeKind.GATEWAYS, gateway=OTHER))
    edge, other = ({(kind.short_name, f"gateway/{name}/game") for kind in TYPES} for name in (EDGE, OTHER))
    assert names(all_caches.cache_of(GATEWAYS)) == names(all_caches.cache_of(MEDIA)) == edge | other
    assert names(one) == other
    assert names(all_caches.cache_of(RTSP)) == {("cds", "default/lobby"), ("eds", "default/lobby"), ("rds", "rtsp")}


def test_what_several_scopes_have_is_one_object() -> None:
    all_caches = caches()
    all_caches.publish(mesh(documents()))
    name = f"gateway/{EDGE}/game"
    scopes = (GATEWAYS, MEDIA, Scope(kind=ScopeKind.GATEWAYS, gateway=EDGE))
    found = [all_caches.cache_of(scope).get(LISTENER.type_url, name) for scope in scopes]
    assert found[0] is not None
    assert all(resource is found[0] for resource in found)


def test_a_change_reaches_the_caches_that_it_concerns_and_no_other() -> None:
    all_caches = caches()
    all_caches.publish(mesh(documents(), documents("other", 7778)))
    edge = all_caches.cache_of(Scope(kind=ScopeKind.GATEWAYS, gateway=EDGE))
    other = all_caches.cache_of(Scope(kind=ScopeKind.GATEWAYS, gateway=OTHER))
    watched = (edge, other, all_caches.gateways, all_caches.media, all_caches.rtsp)
    before = [cache.revision for cache in watched]
    all_caches.publish(mesh(documents(address="192.0.2.2"), documents("other", 7778)))
    changes = [cache.revision - old for cache, old in zip(watched, before, strict=True)]
    assert changes == [1, 0, 1, 1, 0]


def test_a_gateway_that_is_not_there_yet_comes_and_goes() -> None:
    all_caches = caches()
    all_caches.publish(mesh())
    edge = all_caches.cache_of(Scope(kind=ScopeKind.GATEWAYS, gateway=EDGE))
    assert names(edge) == set()
    all_caches.publish(mesh(documents()))
    assert len(names(edge)) == len(TYPES)
    all_caches.publish(mesh())
    assert names(edge) == set()


def test_a_cache_of_one_gateway_is_shared_and_lasts_as_long_as_its_proxies() -> None:
    all_caches = caches()
    scope = Scope(kind=ScopeKind.GATEWAYS, gateway=EDGE)
    cache = all_caches.cache_of(scope)
    assert all_caches.cache_of(scope) is cache
    address = id(cache)
    del cache
    gc.collect()
    assert address not in {id(found) for found in gc.get_objects() if isinstance(found, ResourceCache)}


def test_nothing_is_answered_until_every_source_has_been_heard_from() -> None:
    all_caches = caches(held=True)
    one = all_caches.cache_of(Scope(kind=ScopeKind.GATEWAYS, gateway=EDGE))
    all_caches.publish(mesh(documents()))
    held = (one, all_caches.cache_of(GATEWAYS), all_caches.cache_of(RTSP))
    assert all(cache.held for cache in held)
    all_caches.release()
    assert not any(cache.held for cache in held)
    assert not all_caches.cache_of(Scope(kind=ScopeKind.GATEWAYS, gateway=OTHER)).held


def test_a_listener_that_moves_between_gateways_is_one_change() -> None:
    all_caches = caches()
    all_caches.publish(mesh(documents()))
    all_caches.publish(mesh(documents("other")))
    assert names(all_caches.gateways) == {(kind.short_name, f"gateway/{OTHER}/game") for kind in TYPES}
