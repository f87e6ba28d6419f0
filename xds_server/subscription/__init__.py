"""What one xDS stream has, wants and is due: pure state machines for both protocols."""

from xds_server.subscription.proxy import (
    ConnectedProxy,
    Node,
    ResourceStatus,
    StreamObserver,
    SyncState,
    XdsProtocol,
)
from xds_server.subscription.stream import Fault, StreamCore, StreamError, node_of

__all__ = [
    "ConnectedProxy",
    "Fault",
    "Node",
    "ResourceStatus",
    "StreamCore",
    "StreamError",
    "StreamObserver",
    "SyncState",
    "XdsProtocol",
    "node_of",
]
