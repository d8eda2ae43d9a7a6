"""Answers, for this node, whether a project's assets are there."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import Literal

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from contracts import subjects
from contracts.runs import AssetQuestion, AssetReport
from services.training.checkpoints import is_complete

_State = Literal["there", "missing", "not a file", "unreadable", "outside"]
_decode = msgspec.json.Decoder(AssetQuestion).decode


def report(node: str, root: Path, names: tuple[str, ...], checkpoints: tuple[str, ...] = ()) -> AssetReport:
    """What of the names is missing in the training directory `root`, and what leads out of it."""
    real_root = Path(os.path.realpath(root))
    found = {name: _look(real_root, name) for name in names}

    def those(*states: _State) -> tuple[str, ...]:
        return tuple(name for name in names if found[name] in states)

    return AssetReport(
        node=node,
        missing=those("missing", "not a file", "unreadable"),
        outside=those("outside"),
        incomplete=tuple(path for path in checkpoints if not is_complete(Path(path))),
        not_files=those("not a file"),
        unreadable=those("unreadable"),
    )


def _look(root: Path, name: str) -> _State:
    try:
        path = Path(os.path.realpath(root / name))
        if not path.is_relative_to(root) or Path(name).is_absolute():
            return "outside"
        if not stat.S_ISREG(path.stat().st_mode):
            return "not a file"
        return "there" if os.access(path, os.R_OK) else "unreadable"
    except PermissionError:
        return "unreadable"
    except (OSError, ValueError):  # also where no path can be spelt like that
        return "missing"


async def answer_asset_questions(nc: Client, node: str, root: Path) -> Subscription:
    """Subscribes; unsubscribing ends it. A question that cannot be read is left to the other nodes."""

    async def on_question(message: Msg) -> None:
        try:
            question = _decode(message.data)
        except msgspec.DecodeError:
            return
        answer = await asyncio.to_thread(report, node, root, question.names, question.checkpoints)
        await message.respond(msgspec.json.encode(answer))

    return await nc.subscribe(subjects.NODE_ASSETS, cb=on_question)
