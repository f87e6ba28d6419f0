"""Sessions of the proxy's own, which nobody watches: mirrors, and what they measure."""
