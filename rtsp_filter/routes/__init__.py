"""Routes: which endpoint a request goes to, and why."""
