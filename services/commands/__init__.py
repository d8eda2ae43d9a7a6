"""Commands over NATS: `ask.<user>.<context>.<Command>` by request/reply, `commands.…` by a durable work queue."""
