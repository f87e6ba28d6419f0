"""TLS of the RTSP proxy with SPIFFE identities: what it shows, and whom it has at the other end."""

from rtsp_filter.identity.contexts import IdentityContexts, client_context, server_context

__all__ = ["IdentityContexts", "client_context", "server_context"]
