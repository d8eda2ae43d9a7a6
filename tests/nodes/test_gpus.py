"""The GPUs of a machine, by NVIDIA's management library."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from contracts.nodes import Gpu
from services.runtime.gpus import NvmlGpus


class Nvml(ModuleType):
    """The library with one GPU; `failing` names the function that fails."""

    NVMLError = type("NVMLError", (Exception,), {})

    def __init__(self, failing: str = "") -> None:
        super().__init__("pynvml")
        self.failing = failing
        self.opened = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*_: Any) -> Any:
            if name == self.failing:
                raise self.NVMLError(name)
            self.opened += {"nvmlInit": 1, "nvmlShutdown": -1}.get(name, 0)
            return {
                "nvmlDeviceGetCount": 1,
                "nvmlDeviceGetName": b"NVIDIA A100",
                "nvmlDeviceGetUUID": "GPU-1",
                "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=80, free=79),
            }.get(name)

        return call


def test_every_gpu_is_shown_with_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert NvmlGpus().read() == (Gpu(name="NVIDIA A100", uuid="GPU-1", memory_total=80, memory_free=79),)
    assert nvml.opened == 0


@pytest.mark.parametrize("failing", ["nvmlInit", "nvmlDeviceGetMemoryInfo"])
def test_a_library_that_fails_shows_none(monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    nvml = Nvml(failing)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert NvmlGpus().read() == ()
    assert nvml.opened == 0


def test_a_machine_without_a_driver_has_none() -> None:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        assert NvmlGpus().read() == ()
    else:
        pynvml.nvmlShutdown()
        assert all(0 <= gpu.memory_free <= gpu.memory_total for gpu in NvmlGpus().read())
