"""Checkpoints: a directory `checkpoint-N` is there only when it is whole, and holds all that a continuation needs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from byte_lm import Adam, ByteModel


def write_whole(path: Path, content: dict) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def save(output: Path, step: int, model: ByteModel, optimizer: Adam, state: dict) -> None:
    """Written under another name and renamed, so that neither a signal nor a crash leaves half of one."""
    config = {key: getattr(model, key) for key in ("context", "embedding", "hidden", "vocabulary")}
    target, draft, earlier = (output / f"{kind}checkpoint-{step}" for kind in ("", "tmp-", "tmp-earlier-"))
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        write_whole(draft / "config.json", config)
        write_whole(draft / "model.json", model.weights)
        write_whole(draft / "optimizer.json", {"first": optimizer.first, "second": optimizer.second})
        write_whole(draft / "trainer_state.json", state)
        sync_directory(draft)
        if target.exists():  # an earlier training's, in a directory that may be overwritten
            target.rename(earlier)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(earlier, ignore_errors=True)
    sync_directory(output)


def load_model(directory: Path, vocabulary: list[int], seed: int) -> ByteModel:
    """The model of a directory: its weights where it has them, else new ones with a token for each byte given."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    weights = directory / "model.json"
    if weights.exists():
        return ByteModel(**config, weights=json.loads(weights.read_text(encoding="utf-8")))
    model = ByteModel(**{"vocabulary": vocabulary, **config})
    model.initialise(seed)
    return model


def load_progress(directory: Path, model: ByteModel) -> tuple[Adam, dict]:
    """The optimizer over the model's weights, and trainer_state.json."""
    moments, state = (
        json.loads((directory / name).read_text(encoding="utf-8")) for name in ("optimizer.json", "trainer_state.json")
    )
    return Adam(model.weights, moments), state
