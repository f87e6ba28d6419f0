"""The RTSP proxy's side of the relay stream."""

from rtsp_filter.relays.book import Allocation, Receiver, RelayBook, RelayError, RelayFailure
from rtsp_filter.relays.client import Relay, RelayClient

__all__ = ["Allocation", "Receiver", "Relay", "RelayBook", "RelayClient", "RelayError", "RelayFailure"]
