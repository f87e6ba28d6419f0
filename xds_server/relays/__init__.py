"""Who has which media slot: the pool and the registry (pure), and the gRPC service that RTSP proxies speak to."""
