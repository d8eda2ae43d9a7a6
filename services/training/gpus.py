"""The GPUs of this machine."""

from __future__ import annotations

import logging
from typing import Protocol

from contracts.nodes import Gpu

_log = logging.getLogger(__name__)


class Gpus(Protocol):
    def read(self) -> tuple[Gpu, ...]:
        """All of them with their memory of now, none where there are none; may take a while, so call it in a thread."""
        ...


class NvmlGpus:
    """By NVIDIA's management library. Without a driver there are no GPUs; a failing one is logged and shows none."""

    def read(self) -> tuple[Gpu, ...]:
        import pynvml

        try:
            pynvml.nvmlInit()  # counted: it loads the library the first time
        except pynvml.NVMLError as error:
            _log.debug("no GPUs: %s", error)
            return ()
        try:
            devices = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
            found = []
            for device in devices:
                memory = pynvml.nvmlDeviceGetMemoryInfo(device)
                found.append(
                    Gpu(
                        name=_text(pynvml.nvmlDeviceGetName(device)),
                        uuid=_text(pynvml.nvmlDeviceGetUUID(device)),
                        memory_total=memory.total,
                        memory_free=memory.free,
                    )
                )
            return tuple(found)
        except pynvml.NVMLError as error:
            _log.warning("the GPUs cannot be read: %s", error)
            return ()
        finally:
            pynvml.nvmlShutdown()


def _text(value: str | bytes) -> str:
    """Older releases of the library give bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
