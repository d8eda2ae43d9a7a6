"""Messages of a JetStream consumer, pulled: nothing is lost to a slow reader, and a silent server is noticed."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from events.log.connection import cancellation_kept

HEARTBEAT = 5.0
EXPIRES = 60.0
_LOOK = 0.5


async def pull(nc: Client, stream: str, consumer: str, *, batch: int) -> AsyncGenerator[Msg, None]:
    """Yields until the consumer is gone or the server tells of an error; at most `batch` are on their way at a time.

    It ends too when the connection was lost in between, since the request may be lost with it. Raises
    nats.errors.TimeoutError when there was no sign of life for 2.5 heartbeats, other nats errors as they come.
    """
    inbox = nc.new_inbox()
    subscription = await nc.subscribe(inbox)
    subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
    request = {"batch": batch, "expires": int(EXPIRES * 1e9), "idle_heartbeat": int(HEARTBEAT * 1e9)}
    body = json.dumps(request).encode()
    wanted = 0
    silent = 0.0
    connection = nc.stats["reconnects"]
    try:
        while True:
            if wanted <= 0:
                await nc.publish(subject, body, reply=inbox)
                wanted = batch
            try:
                with cancellation_kept():
                    message = await subscription.next_msg(timeout=_LOOK)
            except nats.errors.TimeoutError:
                silent += _LOOK
                if nc.stats["reconnects"] != connection:
                    return
                if silent >= 2.5 * HEARTBEAT:
                    raise
                continue
            silent = 0.0
            status = (message.headers or {}).get("Status")
            if status is None or message.data:  # publishers may write any header
                wanted -= 1
                yield message
            elif status in ("404", "408"):
                wanted = 0
            elif status != "100":
                return
    finally:
        if not nc.is_closed:
            await subscription.unsubscribe()
