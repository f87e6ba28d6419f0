"""What clusters, endpoints and secrets of xDS say, or why it cannot be honoured."""
