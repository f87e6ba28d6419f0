"""Cameras: which one is asked, and the connection to it."""
