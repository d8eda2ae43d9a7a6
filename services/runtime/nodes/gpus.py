"""The GPUs of this machine, and who uses them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

import msgspec

from contracts.nodes import Gpu

_log = logging.getLogger(__name__)


class GpuProcess(msgspec.Struct, frozen=True):
    """A process with memory on a GPU; `memory` in bytes, 0 where the driver does not say."""

    pid: int
    memory: int


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU by its index, as CUDA_VISIBLE_DEVICES with CUDA_DEVICE_ORDER=PCI_BUS_ID counts.

    Of a GPU that is cut into instances (MIG) each instance is a device: they share its index and have UUIDs of their
    own.
    """

    index: int
    gpu: Gpu
    processes: tuple[GpuProcess, ...] = ()


class Gpus(Protocol):
    """All of them with their memory of now, none where there are none; may take a while, so ask in a thread."""

    def devices(self) -> tuple[Device, ...]: ...

    def read(self) -> tuple[Gpu, ...]: ...


class SharedLook:
    """One look at a time, which whoever asks meanwhile shares: a driver that hangs takes one thread and not all."""

    def __init__(self, gpus: Gpus) -> None:
        self._gpus = gpus
        self._looking: asyncio.Task[tuple[Device, ...]] | None = None

    async def __call__(self) -> tuple[Device, ...]:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(asyncio.to_thread(self._gpus.devices))
        return await asyncio.shield(self._looking)


class NvmlGpus:
    """By NVIDIA's management library. Without a driver there are no GPUs; what cannot be read is logged and left out.

    Those that CUDA_VISIBLE_DEVICES hides from this process are not there.
    """

    def __init__(self, visible: str | None = os.environ.get("CUDA_VISIBLE_DEVICES")) -> None:
        self._visible = None if visible is None else [name.strip() for name in visible.split(",")]
        self._told: set[str] = set()

    def read(self) -> tuple[Gpu, ...]:
        return tuple(device.gpu for device in self.devices())

    def devices(self) -> tuple[Device, ...]:
        import pynvml

        try:
            pynvml.nvmlInit()  # counted: it loads the library the first time
        except pynvml.NVMLError as error:
            _log.debug("no GPUs: %s", error)
            return ()
        try:
            return tuple(filter(self._sees, self._found(pynvml)))
        finally:
            pynvml.nvmlShutdown()

    def _found(self, pynvml: Any) -> Iterator[Device]:
        try:
            count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError as error:
            self._warn(f"the GPUs cannot be read: {error}")
            return
        for index in range(count):
            try:
                parts = _parts(pynvml, pynvml.nvmlDeviceGetHandleByIndex(index))
                yield from [_device(pynvml, index, part) for part in parts]
            except pynvml.NVMLError as error:  # it fell off the bus, say: the others serve on
                self._warn(f"GPU {index} cannot be read: {error}")

    def _warn(self, text: str) -> None:
        """Once, for it is looked at again and again."""
        if text not in self._told:
            self._told.add(text)
            _log.warning("%s", text)

    def _sees(self, device: Device) -> bool:
        if self._visible is None:
            return True
        return any(name and (name == str(device.index) or device.gpu.uuid.startswith(name)) for name in self._visible)


def _parts(pynvml: Any, handle: Any) -> list[Any]:
    """What of a GPU can be used: itself, or the instances that it is cut into, maybe none yet."""
    try:
        cut, _ = pynvml.nvmlDeviceGetMigMode(handle)
    except pynvml.NVMLError:  # most kinds cannot be cut
        cut = False
    if not cut:
        return [handle]
    instances = []
    for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with suppress(pynvml.NVMLError_NotFound):
            instances.append(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))
    return instances


def _device(pynvml: Any, index: int, handle: Any) -> Device:
    total, free = _memory(pynvml, handle)
    gpu = Gpu(
        name=_text(pynvml.nvmlDeviceGetName(handle)),
        uuid=_text(pynvml.nvmlDeviceGetUUID(handle)),
        memory_total=total,
        memory_free=free,
    )
    return Device(index=index, gpu=gpu, processes=_processes(pynvml, handle))


def _memory(pynvml: Any, handle: Any) -> tuple[int, int]:
    """In all and free; both 0 for a GPU that has none of its own (it shares the machine's)."""
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    except pynvml.NVMLError_NotSupported:
        return 0, 0
    return memory.total, memory.free


def _processes(pynvml: Any, handle: Any) -> tuple[GpuProcess, ...]:
    """By the newest call that the driver has: the library's own choice fails on drivers older than itself."""
    for ask in (pynvml.nvmlDeviceGetComputeRunningProcesses_v3, pynvml.nvmlDeviceGetComputeRunningProcesses_v2):
        try:
            return tuple(GpuProcess(process.pid, process.usedGpuMemory or 0) for process in ask(handle))
        except pynvml.NVMLError_FunctionNotFound:
            continue
        except pynvml.NVMLError as error:  # some kinds of virtual GPUs do not tell
            _log.debug("who uses a GPU cannot be read: %s", error)
            break
    return ()


def _text(value: str | bytes) -> str:
    """Older releases of the library give bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
