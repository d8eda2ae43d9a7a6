"""The streams of a ledger, and how they come to be."""

from __future__ import annotations

from uuid import UUID, uuid4

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from events.log import subjects

EVENTS = "EVENTS"
COMMANDS = "COMMANDS"
OUTCOMES = "OUTCOMES"
DEADLETTERS = "DEADLETTERS"
TELEMETRY = "TELEMETRY"
# Key-value buckets
PEOPLE = "PEOPLE"  # person id <-> name
NODES = "NODES"  # heartbeats of the nodes, the last of each
NATS_USERS = "NATS_USERS"  # what each NATS user may ask for

LEDGER_ID = "trainledger-ledger-id"  # in the metadata of EVENTS, made once

_DAY = 24 * 3600.0


async def ensure_streams(js: JetStreamContext, replicas: int = 1) -> None:
    """Creates what is missing and leaves what is there as it is: an update of EVENTS could destroy facts.

    Needs the right to create streams; with all of them there, only the right to read their settings.
    """
    for config in _streams(replicas):
        assert config.name is not None
        try:
            await js.stream_info(config.name)
        except NotFoundError:
            await js.add_stream(config)


async def ledger_id(js: JetStreamContext) -> UUID:
    """Which ledger this is. LookupError: EVENTS was not made by `ensure_streams`."""
    config = (await js.stream_info(EVENTS)).config
    return UUID((config.metadata or {})[LEDGER_ID])


def _streams(replicas: int) -> list[StreamConfig]:
    return [
        StreamConfig(
            name=EVENTS,
            description="Facts: the truth, kept for ever",
            subjects=[subjects.ALL],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            num_replicas=replicas,
            max_msgs=-1,
            max_bytes=-1,
            max_age=0,
            allow_direct=True,
            allow_atomic=True,
            deny_delete=True,
            deny_purge=True,
            duplicate_window=120,
            metadata={LEDGER_ID: str(uuid4())},
        ),
        StreamConfig(
            name=COMMANDS,
            description="Commands to be handled once, then gone",
            subjects=["commands.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.FILE,
            num_replicas=replicas,
            # The least there is: the server's window is one for all users, so one user's message id would swallow
            # another's message. OUTCOMES tells repeated commands apart, by user.
            duplicate_window=0.1,
        ),
        StreamConfig(
            name=OUTCOMES,
            description="Who claimed a command's id, and what it was answered: the last word of each",
            subjects=["outcomes.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            num_replicas=replicas,
            max_msgs_per_subject=1,
            discard=DiscardPolicy.OLD,
            allow_direct=True,
        ),
        StreamConfig(
            name=DEADLETTERS,
            description="Messages that could not be handled",
            subjects=["deadletters.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            num_replicas=replicas,
            max_age=30 * _DAY,
            allow_direct=True,
        ),
        StreamConfig(
            name=TELEMETRY,
            description="What running children say: lines and metrics",
            subjects=["telemetry.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            num_replicas=replicas,
            max_age=7 * _DAY,
            allow_direct=True,
        ),
        _bucket(PEOPLE, "Names of people by id", replicas),
        _bucket(NODES, "Last heartbeat of each node", replicas),
        _bucket(NATS_USERS, "Roles of NATS users by name", replicas),
    ]


def _bucket(name: str, description: str, replicas: int) -> StreamConfig:
    """A key-value bucket as other clients know it, but for `deny_delete`: who is erased is overwritten on the disk."""
    return StreamConfig(
        name=f"KV_{name}",
        description=description,
        subjects=[f"$KV.{name}.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        num_replicas=replicas,
        max_msgs_per_subject=1,
        discard=DiscardPolicy.NEW,
        allow_rollup_hdrs=True,
        allow_direct=True,
    )
