"""The HTTP edge over a real NATS server, SQLite and a projector in this process."""
