"""envoy-data-plane's classes, which read what we put on the wire with another implementation of protobuf."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # betterproto2's use of pydantic is not ours to mend
    from envoy_data_plane.envoy.config.cluster.v3 import Cluster
    from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment
    from envoy_data_plane.envoy.config.listener.v3 import Listener
    from envoy_data_plane.envoy.extensions.filters.udp.udp_proxy.v3 import UdpProxyConfig
    from envoy_data_plane.envoy.service.discovery import v3 as discovery

__all__ = ["Cluster", "ClusterLoadAssignment", "Listener", "UdpProxyConfig", "discovery"]
