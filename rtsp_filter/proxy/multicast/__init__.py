"""Multicast: readers that share a session at the camera, and cameras that send to groups."""
