"""A media proxy on this machine: the bootstrap that makes an Envoy one, and the process that keeps it running."""

from xds_server.envoy.bootstrap import MEDIA_CLUSTER, MediaProxy, XdsTarget, bootstrap, media_proxy_of
from xds_server.envoy.preflight import check_media_ports
from xds_server.envoy.process import EnvoyProcess

__all__ = [
    "MEDIA_CLUSTER",
    "EnvoyProcess",
    "MediaProxy",
    "XdsTarget",
    "bootstrap",
    "check_media_ports",
    "media_proxy_of",
]
