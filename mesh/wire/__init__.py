"""Messages that cross processes: generated from relay.proto by `make proto`."""
