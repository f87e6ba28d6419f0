"""What one xDS stream has, wants and is due: pure state machines for both protocols."""

from xds_server.subscription.doubts import Doubts
from xds_server.subscription.faults import Fault, StreamError
from xds_server.subscription.proxy import (
    ConnectedProxy,
    Locality,
    Node,
    ResourceStatus,
    StreamObserver,
    SyncState,
    Traffic,
    XdsProtocol,
)
from xds_server.subscription.stream import StreamCore, node_of

__all__ = [
    "ConnectedProxy",
    "Doubts",
    "Fault",
    "Locality",
    "Node",
    "ResourceStatus",
    "StreamCore",
    "StreamError",
    "StreamObserver",
    "SyncState",
    "Traffic",
    "XdsProtocol",
    "node_of",
]
