"""Answers, for this node, whether a project's assets are there."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from contracts import subjects
from contracts.runs import AssetQuestion, AssetReport
from services.training.checkpoints import is_complete

_decode = msgspec.json.Decoder(AssetQuestion).decode


def report(node: str, root: Path, names: tuple[str, ...], checkpoints: tuple[str, ...] = ()) -> AssetReport:
    """What of the names is missing in the training directory `root`, and what leads out of it."""
    real_root = Path(os.path.realpath(root))
    missing, outside = [], []
    for name in names:
        try:
            path = Path(os.path.realpath(real_root / name))
        except (OSError, ValueError):  # no path can be spelt like that
            missing.append(name)
            continue
        if not path.is_relative_to(real_root) or Path(name).is_absolute():
            outside.append(name)
        elif not _is_readable_file(path):
            missing.append(name)
    incomplete = tuple(path for path in checkpoints if not is_complete(Path(path)))
    return AssetReport(node=node, missing=tuple(missing), outside=tuple(outside), incomplete=incomplete)


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


def _is_readable_file(path: Path) -> bool:
    try:
        return path.is_file() and os.access(path, os.R_OK)
    except (OSError, ValueError):
        return False
