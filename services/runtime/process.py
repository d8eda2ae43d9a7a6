"""The life of one service process: settings in, signals and a lost parent out, one sentence when it cannot start."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TextIO

from services.runtime.handover import EX_CONFIG, EX_UNAVAILABLE, decode, stop_signals
from services.runtime.settings import SettingRefused, Settings

Main = Callable[[Settings], Coroutine[Any, Any, None]]


def serve(main: Main, settings: Settings) -> int:
    """Runs `main` until it ends or a signal cancels it, and returns the exit code."""
    return _run(main, settings, lifeline=None, refusals=sys.stderr)


def serve_supervised(main: Main) -> int:
    """The same as a child: stdin gives the settings as one line of JSON, and its end means that the parent is gone.

    Why it cannot serve goes to stdout, for the parent to tell once for all children; nothing else does.
    """
    lifeline = sys.stdin.buffer
    refusals = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    line = lifeline.readline()
    if not line:
        return 0
    return _run(main, decode(line), lifeline.fileno(), refusals)


def collect_less_garbage() -> None:
    """What was built so far stays, so it is not searched again and again: some 8% more requests, or facts, a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def _run(main: Main, settings: Settings, lifeline: int | None, refusals: TextIO) -> int:
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # that a server starts and stops is the parent's to say
    import uvloop

    from events.log import LogUnavailable
    from services.runtime.wiring import NotReachable

    collect_less_garbage()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_until_stopped(main, settings, lifeline))
    except SettingRefused as refused:
        print(refused, file=refusals, flush=True)
        return EX_CONFIG
    except (LogUnavailable, NotReachable) as missing:
        print(missing, file=refusals, flush=True)
        return EX_UNAVAILABLE


async def _until_stopped(main: Main, settings: Settings, lifeline: int | None) -> int:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(main(settings))

    def stop(why: str) -> None:
        logging.getLogger("trainledger").debug("stopping: %s", why)
        task.cancel()
        # A daemon thread, as the loop may be what hangs.
        overdue = threading.Timer(settings.stop_seconds, os._exit, [1])
        overdue.daemon = True
        overdue.start()

    for signal_ in stop_signals():
        loop.add_signal_handler(signal_, stop, signal_.name)
    if lifeline is not None:
        threading.Thread(target=_watch, args=(lifeline, loop, stop), daemon=True, name="lifeline").start()
    with suppress(asyncio.CancelledError):
        await task
        return 0
    return 0


def _watch(lifeline: int, loop: asyncio.AbstractEventLoop, stop: Callable[[str], None]) -> None:
    while os.read(lifeline, 4096):
        pass
    with suppress(RuntimeError):  # the loop is closed: the process ends anyway
        loop.call_soon_threadsafe(stop, "the parent is gone")
