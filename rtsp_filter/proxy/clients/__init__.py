"""Clients: their connections, tunnels and requests."""
