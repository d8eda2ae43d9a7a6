"""Settings of every process: addresses, the bus, the database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from services.runtime.settings.kinds import Port, Seconds, Text


class ServingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A field's title is its environment variable, its name the key in the YAML file."""

    host: Annotated[
        Text, Meta(title="TRAINLEDGER_HOST", description="Address to serve HTTP on; any but loopback needs a token")
    ] = "127.0.0.1"
    port: Annotated[Port, Meta(title="TRAINLEDGER_PORT", description="Port to serve HTTP on")] = 8000
    data_dir: Annotated[
        Path,
        Meta(
            title="TRAINLEDGER_DATA_DIR",
            description="Where everything is kept; once set, the database and the deployment logs lie there too",
        ),
    ] = Path(".trainledger")
    training_db_url: Annotated[
        Text, Meta(title="TRAINING_DB_URL", description="SQLAlchemy URL of the read models (SQLite, PostgreSQL, MySQL)")
    ] = "sqlite:///./training.db"
    nats_url: Annotated[
        str | None,
        Meta(
            title="NATS_URL",
            description="NATS server or cluster, comma-separated; unset: an embedded server is started",
        ),
    ] = None
    nats_credentials: Annotated[
        Path | None,
        Meta(
            title="TRAINLEDGER_NATS_CREDENTIALS",
            description="File with the nkey seed to sign in with at NATS_URL; unset: the embedded server's own",
        ),
    ] = None
    nats_admin_credentials: Annotated[
        Path | None,
        Meta(
            title="TRAINLEDGER_NATS_ADMIN_CREDENTIALS",
            description="File with the nkey seed that may create streams at NATS_URL; only `prepare` signs in with it",
        ),
    ] = None
    nats_port: Annotated[
        Port | None,
        Meta(
            title="TRAINLEDGER_NATS_PORT", description="Port of the embedded NATS server; unset: 4222 or any free one"
        ),
    ] = None
    nats_replicas: Annotated[
        Annotated[int, Meta(ge=1, le=5)],
        Meta(title="TRAINLEDGER_NATS_REPLICAS", description="Copies that a NATS cluster keeps of each new stream"),
    ] = 1
    projection_wait_seconds: Annotated[
        Seconds,
        Meta(
            title="TRAINLEDGER_PROJECTION_WAIT_SECONDS",
            description="How long an answer waits for the read models to show what it says",
        ),
    ] = 5.0
    command_wait_seconds: Annotated[
        Seconds,
        Meta(
            title="TRAINLEDGER_COMMAND_WAIT_SECONDS",
            description="How long a repeated request waits for the first with its Idempotency-Key, then 409",
        ),
    ] = 15.0
    body_limit_bytes: Annotated[
        Annotated[int, Meta(ge=1024)],
        Meta(title="TRAINLEDGER_BODY_LIMIT_BYTES", description="Largest body of a JSON request"),
    ] = 1_048_576
    allowed_hosts: Annotated[
        str | None,
        Meta(
            title="TRAINLEDGER_ALLOWED_HOSTS",
            description="Further hosts to answer for, comma-separated, as a proxy in front needs; "
            "loopback names are answered always",
        ),
    ] = None
    stop_seconds: Annotated[
        Seconds,
        Meta(title="TRAINLEDGER_STOP_SECONDS", description="How long a stopping process may finish what it is at"),
    ] = 10.0
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        Meta(title="TRAINLEDGER_LOG_LEVEL", description="Least level of the service's own log lines"),
    ] = "INFO"
