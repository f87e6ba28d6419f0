"""The RTSP proxy's side of the relay stream."""

from rtsp_filter.relays.book import Allocation, Receiver, RelayBook, RelayError, RelayFailure, Sender, TunnelFound
from rtsp_filter.relays.client import MediaObserver, Relay, RelayClient
from rtsp_filter.relays.tunnel_book import TunnelOffer

__all__ = [
    "Allocation",
    "MediaObserver",
    "Receiver",
    "Relay",
    "RelayBook",
    "RelayClient",
    "RelayError",
    "RelayFailure",
    "Sender",
    "TunnelFound",
    "TunnelOffer",
]
