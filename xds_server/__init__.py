"""The control plane. As a library: an xDS server of any resources (docs/xds.md)."""

from xds_server.cache import DanglingReferences, ResourceCache
from xds_server.discovery import SERVER_OPTIONS, DiscoveryService
from xds_server.resources import Failure, FailureCode, Resource
from xds_server.server import XdsServer
from xds_server.subscription import ConnectedProxy, Node, ResourceStatus, StreamObserver, SyncState

__all__ = [
    "SERVER_OPTIONS",
    "ConnectedProxy",
    "DanglingReferences",
    "DiscoveryService",
    "Failure",
    "FailureCode",
    "Node",
    "Resource",
    "ResourceCache",
    "ResourceStatus",
    "StreamObserver",
    "SyncState",
    "XdsServer",
]
