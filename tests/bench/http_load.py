"""A light HTTP load: some connections, each sending its next request when it has its answer."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from uuid import uuid4

PROJECT = {
    "owner": "alice",
    "description": "微调 Qwen 以适配客服场景",
    "tags": ["demo", "customer-service"],
    "dataset_name": "datasets/qwen_demo.jsonl",
    "training_yaml_name": "configs/qwen_demo.yaml",
}


async def load(port: int, method: str, path: str, connections: int, seconds: float) -> dict[str, float]:
    """Requests a second, and the times of the median and of the slowest hundredth in milliseconds.

    Bodies of POST are projects with names of their own. Raises RuntimeError for an answer that is no success.
    """
    durations: list[float] = []
    end = time.perf_counter() + seconds

    def request() -> bytes:
        body = json.dumps(PROJECT | {"name": f"bench-{uuid4()}-x"}).encode() if method == "POST" else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"Content-Type: application/json\r\n\r\n" + body

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (start := time.perf_counter()) < end:
            writer.write(request())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
            if head[9:10] != b"2":
                raise RuntimeError((head + body).decode())
            durations.append(time.perf_counter() - start)
        writer.close()
        await writer.wait_closed()

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(connections)))
    elapsed = time.perf_counter() - started
    durations.sort()
    return {
        "rate": len(durations) / elapsed,
        "p50": 1e3 * durations[len(durations) // 2],
        "p99": 1e3 * durations[int(len(durations) * 0.99)],
    }


if __name__ == "__main__":
    import uvloop

    port, method, path, connections, seconds = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(load(int(port), method, path, int(connections), float(seconds)))))
