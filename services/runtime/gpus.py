"""The GPUs of this machine, and who uses them."""

from __future__ import annotations

import logging
import os
from typing import Any, Protocol

import msgspec

from contracts.nodes import Gpu

_log = logging.getLogger(__name__)


class GpuProcess(msgspec.Struct, frozen=True):
    """A process with memory on a GPU; `memory` in bytes, 0 where the driver does not say."""

    pid: int
    memory: int


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU by its index, as CUDA_VISIBLE_DEVICES with CUDA_DEVICE_ORDER=PCI_BUS_ID counts."""

    index: int
    gpu: Gpu
    processes: tuple[GpuProcess, ...] = ()


class Gpus(Protocol):
    """All of them with their memory of now, none where there are none; may take a while, so ask in a thread."""

    def devices(self) -> tuple[Device, ...]: ...

    def read(self) -> tuple[Gpu, ...]: ...


class NvmlGpus:
    """By NVIDIA's management library. Without a driver there are no GPUs; a failing one is logged and shows none.

    Those that CUDA_VISIBLE_DEVICES hides from this process are not there.
    """

    def __init__(self, visible: str | None = os.environ.get("CUDA_VISIBLE_DEVICES")) -> None:
        self._visible = None if visible is None else [name.strip() for name in visible.split(",")]

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
            found = (_device(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
            return tuple(device for device in found if self._sees(device))
        except pynvml.NVMLError as error:
            _log.warning("the GPUs cannot be read: %s", error)
            return ()
        finally:
            pynvml.nvmlShutdown()

    def _sees(self, device: Device) -> bool:
        if self._visible is None:
            return True
        return any(name and (name == str(device.index) or device.gpu.uuid.startswith(name)) for name in self._visible)


def _device(pynvml: Any, index: int) -> Device:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    gpu = Gpu(
        name=_text(pynvml.nvmlDeviceGetName(handle)),
        uuid=_text(pynvml.nvmlDeviceGetUUID(handle)),
        memory_total=memory.total,
        memory_free=memory.free,
    )
    try:
        processes = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except pynvml.NVMLError as error:  # some kinds of virtual GPUs do not tell
        _log.debug("who uses GPU %d cannot be read: %s", index, error)
        processes = ()
    used = tuple(GpuProcess(process.pid, process.usedGpuMemory or 0) for process in processes or ())
    return Device(index=index, gpu=gpu, processes=used)


def _text(value: str | bytes) -> str:
    """Older releases of the library give bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
