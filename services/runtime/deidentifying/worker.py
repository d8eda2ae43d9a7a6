"""The process that holds the engine of de-identification: asked on stdin, answering on stdout, until stdin ends.

Nothing of what it is asked leaves it otherwise: an error tells its kind and its places in the code, never a value.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from services.runtime.deidentifying.asks import (
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
from services.runtime.deidentifying.storage_reasons import storage_reason

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
        last = _last_answer(ask, lambda answer: _send(MORE, answer, answers))
    except Exception as error:  # noqa: BLE001 - whatever it is, its text may hold what was asked
        last = Broken(what=_without_values(error))
    _send(LAST, last, answers)


def _send(which: bytes, answer: Answer, answers: BinaryIO) -> None:
    answers.write(which + framed(answer))
    answers.flush()


def _without_values(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    places = " <- ".join(f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in reversed(frames))  # noqa: PTH119
    return f"{type(error).__name__} at {places}"


def _last_answer(ask: Ask, tell: Callable[[Answer], None]) -> Answer:
    """`tell` is given those before."""
    match ask:
        case DeidentifyTexts():
            return _deidentify(ask)
        case ReverseTexts():
            return _reverse(ask)
        case DeidentifyFile():
            return _file(ask, tell)


def _deidentify(ask: DeidentifyTexts) -> Answer:
    from services.runtime.deid.refusals import TextRefused

    try:
        result = _deidentifier(ask.policy).texts(ask.texts, ask.locale, ask.format)  # type: ignore[arg-type]  # checked
    except TextRefused as refused:
        return TextUnreadable(pointer=refused.wrong.pointer, zh=refused.wrong.zh, en=refused.wrong.en)
    pairs = tuple((pair.type, pair.original, pair.pseudo) for pair in result.mapping) if ask.mapping else ()
    return TextsDone(texts=tuple(result.texts), counts=result.counts, mapping=pairs)


def _reverse(ask: ReverseTexts) -> Answer:
    from services.runtime.deid.refusals import NotReversible as NoWayBack
    from services.runtime.deid.refusals import TextRefused

    try:
        result = _deidentifier(ask.policy).reverse(ask.texts, ask.locale, ask.format)  # type: ignore[arg-type]  # checked
    except NoWayBack:
        return NotReversible()
    except TextRefused as refused:
        return TextUnreadable(pointer=refused.wrong.pointer, zh=refused.wrong.zh, en=refused.wrong.en)
    return TextsDone(texts=tuple(result.texts), counts=result.counts)


def _file(ask: DeidentifyFile, tell: Callable[[Answer], None]) -> Answer:
    from services.runtime.deid.files import deidentify_file
    from services.runtime.deid.keys import Keys
    from services.runtime.deid.refusals import FileRefused

    try:
        report = deidentify_file(
            Path(ask.source),
            Path(ask.target),
            ask.policy.policy,
            Keys(ask.policy.secret),
            fields=ask.fields,
            format=ask.format,  # type: ignore[arg-type]  # checked
            seed=ask.policy.seed,
            workers=ask.processes,
            progress=lambda done, _: tell(FileProgress(bytes=done)),
        )
    except FileRefused as refused:
        return FileFailed(cause="input", zh=refused.zh, en=refused.en, line=refused.line)
    except OSError as error:
        zh, en = storage_reason(error)
        return FileFailed(cause="storage", zh=zh, en=en, line=None)
    return FileDone(
        records=report.records,
        quarantined=report.quarantined,
        quarantined_lines=report.quarantined_lines,
        counts=report.counts,
        input_sha256=report.input_sha256,
        output_sha256=report.output_sha256,
    )


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
