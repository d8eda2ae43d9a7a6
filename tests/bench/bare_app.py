"""What to compare with: Litestar that answers at once, and after one plain append to JetStream."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import nats
import uvicorn
from litestar import Litestar, Request, get, post, put

STREAM = "BENCH"


@get("/ping", media_type="text/plain")
async def ping() -> str:
    return "pong"


@post("/append")
async def append(request: Request[Any, Any, Any]) -> dict[str, int]:
    ack = await request.app.state.js.publish(f"bench.{uuid4()}", await request.body(), stream=STREAM)
    return {"position": ack.seq}


@put("/upload", request_max_body_size=None)
async def upload(request: Request[Any, Any, Any]) -> dict[str, int]:
    """The shortest way from a body to a file that is on disk."""
    path = request.app.state.directory / uuid4().hex
    with path.open("wb", buffering=0) as file:
        async for data in request.stream():
            file.write(data)
        os.fsync(file.fileno())
        size = file.tell()
    path.unlink()
    return {"bytes": size}


async def main(port: int, nats_url: str, directory: str = ".") -> None:
    connection = await nats.connect(nats_url)
    app = Litestar([ping, append, upload])
    app.state.directory = Path(directory)
    app.state.js = connection.jetstream()
    await app.state.js.add_stream(name=STREAM, subjects=["bench.>"])
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, http="httptools", loop="none", log_level="warning", access_log=False
    )
    await uvicorn.Server(config).serve()
    await connection.close()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), *sys.argv[2:]))
