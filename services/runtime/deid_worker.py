"""The process that holds the engine of de-identification: asked on stdin, answering on stdout, until stdin ends.

Nothing of what it is asked leaves it otherwise: an error tells its kind and its places in the code, never a value.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from services.runtime.deid_asks import (
    LAST,
    MORE,
    Answer,
    Ask,
    Broken,
    DeidentifyFile,
    DeidentifyTexts,
    FileDone,
    FileFailed,
    FileProgress,
    NotReversible,
    PolicyToUse,
    ReverseTexts,
    TextsDone,
    TextUnreadable,
    decode_ask,
    decode_use,
    encode,
    framed,
    read_frame,
)

if TYPE_CHECKING:
    from services.runtime.deid.engine import Deidentifier


def main() -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    asked: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    working = threading.Event()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, asked, working), daemon=True, name="asked").start()
    while (frame := asked.get()) is not None:
        _answer(decode_ask(frame), answers)
        working.clear()


def _listen(pipe: BinaryIO, asked: queue.SimpleQueue[bytes | None], working: threading.Event) -> None:
    """Whoever asked is gone once its end of the pipe is closed: what it asked for is then nobody's."""
    while (frame := read_frame(pipe)) is not None:
        working.set()
        asked.put(frame)
    if working.is_set() and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)  # the processes that work on a file too
    asked.put(None)


def _answer(ask: Ask, answers: BinaryIO) -> None:
    try:
        before: Answer | None = None
        for answer in _answers(ask):
            if before is not None:
                _send(MORE, before, answers)
            before = answer
        assert before is not None
    except Exception as error:  # noqa: BLE001 - whatever it is, its text may hold what was asked
        before = Broken(what=_without_values(error))
    _send(LAST, before, answers)


def _send(which: bytes, answer: Answer, answers: BinaryIO) -> None:
    answers.write(which + framed(answer))
    answers.flush()


def _without_values(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    places = " <- ".join(f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in reversed(frames))  # noqa: PTH119
    return f"{type(error).__name__} at {places}"


def _answers(ask: Ask) -> Iterator[Answer]:
    match ask:
        case DeidentifyTexts():
            yield _deidentify(ask)
        case ReverseTexts():
            yield _reverse(ask)
        case DeidentifyFile():
            yield from _file(ask)


def _deidentify(ask: DeidentifyTexts) -> Answer:
    from services.runtime.deid.refusals import TextRefused

    try:
        result = _deidentifier(ask.policy).texts(ask.texts, ask.locale, ask.format)  # type: ignore[arg-type]  # checked
    except TextRefused as refused:
        return TextUnreadable(pointer=refused.wrong.pointer, zh=refused.wrong.zh, en=refused.wrong.en)
    pairs = tuple((pair.type, pair.original, pair.pseudo) for pair in result.mapping) if ask.mapping else ()
    return TextsDone(texts=tuple(result.texts), counts=result.counts, mapping=pairs)


def _reverse(_: ReverseTexts) -> Answer:
    return NotReversible()


def _file(ask: DeidentifyFile) -> Iterator[Answer]:
    """Line by line, in one process: JSON Lines and text."""
    if ask.format not in ("jsonl", "text"):
        zh, en = "暂不支持该格式", "this format is not supported yet"
        yield FileFailed(cause="input", zh=zh, en=en, line=None)
        return
    try:
        yield from _lines(ask)
    except OSError as error:
        zh, en = f"存储出错：{error.strerror}", f"the storage fails: {error.strerror}"
        yield FileFailed(cause="storage", zh=zh, en=en, line=None)


def _lines(ask: DeidentifyFile) -> Iterator[Answer]:
    engine = _deidentifier(ask.policy)
    before, after = hashlib.sha256(), hashlib.sha256()
    counts: Counter[str] = Counter()
    records = 0
    with Path(ask.source).open("rb") as source, Path(ask.target).open("wb") as target:
        for number, line in enumerate(source, 1):
            before.update(line)
            content = line.rstrip(b"\r\n")
            try:
                text = content.decode()
                value = json.loads(text) if ask.format == "jsonl" and text.strip() else text
            except ValueError:
                zh, en = "不是有效的 UTF-8 或 JSON", "is not valid UTF-8 or JSON"
                yield FileFailed(cause="input", zh=zh, en=en, line=number)
                return
            found = list(_strings(value, ask.fields))
            result = engine.texts(found)
            counts.update(result.counts)
            new = _with_strings(value, ask.fields, iter(result.texts))
            written = json.dumps(new, ensure_ascii=False) if ask.format == "jsonl" and text.strip() else new
            out = written.encode() + line[len(content) :]
            after.update(out)
            target.write(out)
            records += bool(content)
            if number % 1_000 == 0:
                yield FileProgress(bytes=source.tell())
        target.flush()
        os.fsync(target.fileno())
    yield FileDone(
        records=records,
        quarantined=0,
        counts=dict(sorted(counts.items())),
        input_sha256=before.hexdigest(),
        output_sha256=after.hexdigest(),
    )


def _strings(value: Any, fields: tuple[str, ...] | None) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from _strings(one, fields)
        case dict():
            for name, one in value.items():
                if fields is None or name in fields:
                    yield from _strings(one, None)


def _with_strings(value: Any, fields: tuple[str, ...] | None, new: Iterator[str]) -> Any:
    match value:
        case str():
            return next(new)
        case list():
            return [_with_strings(one, fields, new) for one in value]
        case dict():
            return {
                name: _with_strings(one, None, new) if fields is None or name in fields else one
                for name, one in value.items()
            }
        case _:
            return value


def _deidentifier(use: PolicyToUse) -> Deidentifier:
    if use.policy.key == "seed" and use.seed is None:  # its key is one request's alone
        return _new(use)
    return _kept(encode(use))


@lru_cache(maxsize=16)
def _kept(use: bytes) -> Deidentifier:
    return _new(decode_use(use))


def _new(use: PolicyToUse) -> Deidentifier:
    from services.runtime.deid.engine import Deidentifier
    from services.runtime.deid.keys import Keys

    return Deidentifier(use.policy, Keys(use.secret), use.seed)


if __name__ == "__main__":
    main()
