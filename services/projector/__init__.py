"""The projector: follows the log and the telemetry, and keeps the read models up to them."""
