"""The NATS server that comes with the service, and who may do what on it."""
