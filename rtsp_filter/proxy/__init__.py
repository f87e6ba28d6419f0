"""The RTSP proxy: between players and cameras, with media through relays."""

from rtsp_filter.proxy.limits import ProxyLimits
from rtsp_filter.proxy.multicast.feeds import MulticastSettings
from rtsp_filter.proxy.server import Listen, ProxySettings, RTSPProxy, SecureListen

__all__ = ["Listen", "MulticastSettings", "ProxyLimits", "ProxySettings", "RTSPProxy", "SecureListen"]
