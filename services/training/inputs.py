"""Places what a run uses of what was uploaded where its training command sees it, whole and with the right content."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID
from weakref import WeakValueDictionary

from contracts.files import LONGEST_PIECE
from contracts.problems import Refused
from events.runs import Run, StoredConfig, StoredDataset
from services.runtime.children import LaunchFailed
from services.runtime.durable_files import sync_directory
from services.runtime.ending import end
from services.runtime.nodes.files import Piece
from services.training.clearing import DIRECTORIES, use

_BLOCK = 1 << 20
_CLONE = 0x40049409  # FICLONE: a copy that shares blocks until either is written to, where the file system has it
_TRIES, _PAUSE = 20, 0.5  # a store that does not answer is asked so often, so many seconds apart
_DRAFT = ".new"


class Store(Protocol):
    """The files that were uploaded, held somewhere on the bus."""

    async def piece(self, stored_name: str, offset: int, length: int) -> Piece:
        """Raises Refused where nobody answers."""
        ...


async def place_inputs(inputs: Inputs | None, run_id: UUID, run: Run, canceled: asyncio.Event) -> None:
    """Returns once all that the run names is there, or once it is canceled. Raises LaunchFailed."""
    await _until(canceled, _known(inputs).place(run_id, run) if _named(run) else None)


async def place_config(inputs: Inputs | None, run_id: UUID, run: Run, canceled: asyncio.Event) -> None:
    """As `place_inputs`, of the training configuration alone."""
    await _until(canceled, _known(inputs).place_config(run_id, run) if run.stored_config else None)


class Inputs:
    """Copies lie under `root`, the training directory, named by their content: runs of the same content share one.

    A copy stays until the runs that use it have ended.

    They are made from `files`, the store's directory where this machine has it, else from `store`. Never a hard link: a
    training that writes into its dataset would change what was uploaded.
    """

    def __init__(self, root: Path, files: Path, store: Store) -> None:
        self._root = root
        self._files = files
        self._store = store
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def place(self, run_id: UUID, run: Run) -> None:
        """Returns once all that the run names is there. May be cancelled, and called again. Raises LaunchFailed."""
        await self.place_config(run_id, run)
        if run.stored_dataset is not None:
            await self._place(run_id, run.stored_dataset)

    async def place_config(self, run_id: UUID, run: Run) -> None:
        """As `place`, of the training configuration alone."""
        if run.stored_config is not None:
            await self._place(run_id, run.stored_config)

    async def _place(self, run_id: UUID, file: StoredConfig | StoredDataset) -> None:
        turn = self._turns.setdefault(file.path, asyncio.Lock())
        async with turn:
            try:
                target = await asyncio.to_thread(self._target, file.path)
                await asyncio.to_thread(use, target, run_id)
                if await asyncio.to_thread(_holds, target, file):
                    return
                draft = target.with_name(f".{target.name}.{os.getpid()}{_DRAFT}")
                try:
                    await self._fill(draft, file)
                    await asyncio.to_thread(_finish, draft, target, file)
                finally:
                    await asyncio.to_thread(draft.unlink, missing_ok=True)
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                said = error.strerror or str(error)
                raise LaunchFailed(
                    f"无法在训练目录中放置 {file.name}：{'磁盘空间不足' if full else said}",
                    f"{file.name} cannot be put into the training directory: {'the disk is full' if full else said}",
                ) from error

    def _target(self, path: str) -> Path:
        """Makes the directory, which must be one inside the training directory. OSError, LaunchFailed."""
        directory = (self._root / path).parent
        directory.mkdir(parents=True, exist_ok=True)
        real = directory.resolve()
        if not real.is_relative_to(self._root.resolve()):
            raise LaunchFailed(
                f"无法在训练目录中放置文件：{directory} 指向训练目录之外",
                f"no file can be put into {directory}, which leads out of the training directory",
            )
        return real / Path(path).name

    async def _fill(self, draft: Path, file: StoredConfig | StoredDataset) -> None:
        here = self._files / file.stored_name
        if await asyncio.to_thread(here.is_file):
            await _in_thread(_copy, here, draft)
            return
        descriptor = await asyncio.to_thread(_create, draft)
        try:
            await self._fetch(descriptor, file)
        finally:
            os.close(descriptor)

    async def _fetch(self, descriptor: int, file: StoredConfig | StoredDataset) -> None:
        position = 0
        while position < file.size:
            piece = await self._piece(file, position)
            if piece.answer.status != "ok":
                raise LaunchFailed(
                    f"存储中没有 {file.name} 的文件 {file.stored_name}，它可能已被删除",
                    f"the store has no file {file.stored_name} of {file.name}; it may have been deleted",
                )
            if piece.answer.size != file.size or not piece.data:
                raise LaunchFailed(
                    f"{file.name} 在存储中的文件与登记的内容不符",
                    f"the store's file of {file.name} is not what was registered",
                )
            await asyncio.to_thread(_write_all, descriptor, piece.data)
            position += len(piece.data)

    async def _piece(self, file: StoredConfig | StoredDataset, position: int) -> Piece:
        for attempt in range(_TRIES):
            try:
                return await self._store.piece(file.stored_name, position, LONGEST_PIECE)
            except Refused as refused:
                if attempt == _TRIES - 1:
                    raise LaunchFailed(
                        f"无法取得 {file.name}：{refused.text('zh')}",
                        f"{file.name} cannot be had: {refused.text('en')}",
                    ) from refused
            await asyncio.sleep(_PAUSE)
        raise AssertionError


def _named(run: Run) -> bool:
    return run.stored_config is not None or run.stored_dataset is not None


def _known(inputs: Inputs | None) -> Inputs:
    if inputs is None:
        raise LaunchFailed(
            "该训练服务没有配置上传文件的存储，无法使用已上传的文件",
            "this training service has no store of uploaded files, and cannot use them",
        )
    return inputs


async def _until(canceled: asyncio.Event, work: Coroutine[Any, Any, None] | None) -> None:
    if work is None:
        return
    placing, waiting = asyncio.create_task(work), asyncio.create_task(canceled.wait())
    try:
        await asyncio.wait((placing, waiting), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        if not placing.done():
            await end(placing)
    if not placing.cancelled():
        await placing


def remove_drafts(root: Path) -> None:
    """Removes what a service that ended left unfinished. Only while no other service works in that directory."""
    for directory in DIRECTORIES:
        for draft in (root / directory).glob(f".*{_DRAFT}"):
            draft.unlink(missing_ok=True)


async def _in_thread(work: Callable[..., None], *arguments: object) -> None:
    """Also where it is cancelled, it returns only once the thread is done with its files."""
    done: Awaitable[None] = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        await asyncio.shield(done)
    except asyncio.CancelledError:
        with suppress(OSError):
            await done
        raise


def _holds(path: Path, file: StoredConfig | StoredDataset) -> bool:
    """Whether that very content lies there: a training may have written into it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        status = os.fstat(descriptor)
        return stat.S_ISREG(status.st_mode) and status.st_size == file.size and _sha256(descriptor) == file.sha256
    finally:
        os.close(descriptor)


def _create(draft: Path) -> int:
    draft.unlink(missing_ok=True)
    return os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)


def _copy(source: Path, draft: Path) -> None:
    with _opened(source, os.O_RDONLY) as original:
        descriptor = _create(draft)
        try:
            try:
                fcntl.ioctl(descriptor, _CLONE, original)
            except OSError:  # no such file system, or another one
                position = 0
                while block := os.pread(original, _BLOCK, position):
                    _write_all(descriptor, block)
                    position += len(block)
        finally:
            os.close(descriptor)


def _finish(draft: Path, target: Path, file: StoredConfig | StoredDataset) -> None:
    """The draft under its name, once it is on disk and was read again: nothing unverified is ever seen there."""
    with _opened(draft, os.O_RDONLY) as descriptor:
        os.fchmod(descriptor, 0o644)
        os.fsync(descriptor)
        if _sha256(descriptor) != file.sha256:
            raise LaunchFailed(
                f"{file.name} 的内容与登记的 SHA-256 不符，训练未启动",
                f"what {file.name} holds has another SHA-256 than was registered; nothing was started",
            )
    draft.replace(target)
    sync_directory(target.parent)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sha256(descriptor: int) -> str:
    digest, position = hashlib.sha256(), 0
    while block := os.pread(descriptor, _BLOCK, position):
        digest.update(block)
        position += len(block)
    return digest.hexdigest()


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
