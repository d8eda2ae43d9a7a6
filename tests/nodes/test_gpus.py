"""The GPUs of a machine, by NVIDIA's management library; without a driver by one in memory behind the same bindings."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pynvml
import pytest

from contracts.nodes import Gpu
from services.runtime.nodes.gpus import Device, GpuProcess, NvmlGpus

GIB = 2**30


class Card:
    """A GPU or an instance of one; `failing` maps functions of the library to the codes that they answer with."""

    def __init__(self, number: int, *, processes: dict[int, int | None] | None = None, **failing: int) -> None:
        self.uuid = f"GPU-{number}"
        self.name = "NVIDIA A100"
        self.total, self.free = 80 * GIB, 79 * GIB
        self.processes = processes or {}
        self.failing: dict[str, int] = {"nvmlDeviceGetMigMode": int(pynvml.NVML_ERROR_NOT_SUPPORTED)} | failing
        self.instances: list[Card | None] = []

    def cut(self, *instances: Card | None) -> Card:
        del self.failing["nvmlDeviceGetMigMode"]
        self.instances = list(instances)
        return self


class Driver:
    """The C library, called as the bindings call it: what it gives goes through pointers, and it returns a code."""

    def __init__(self, *cards: Card, without: tuple[str, ...] = ()) -> None:
        self.cards = cards
        self.opened = 0
        self._handles: list[Card] = []
        functions: dict[str, Callable[..., int | None]] = {
            "nvmlInitWithFlags": self._open,
            "nvmlShutdown": self._close,
            "nvmlDeviceGetCount_v2": self._count,
            "nvmlDeviceGetHandleByIndex_v2": self._by_index,
            "nvmlDeviceGetMigMode": self._is_cut,
            "nvmlDeviceGetMaxMigDeviceCount": self._most_instances,
            "nvmlDeviceGetMigDeviceHandleByIndex": self._instance,
            "nvmlDeviceGetName": self._name,
            "nvmlDeviceGetUUID": self._uuid,
            "nvmlDeviceGetMemoryInfo": self._memory,
            "nvmlDeviceGetComputeRunningProcesses_v3": self._processes,
            "nvmlDeviceGetComputeRunningProcesses_v2": self._processes,
        }
        self._functions = {name: function for name, function in functions.items() if name not in without}

    def __getattr__(self, name: str) -> Callable[..., int]:
        function = self._functions.get(name)
        if function is None:
            raise AttributeError(name)

        def call(*arguments: Any) -> int:
            given = list(arguments)
            if given and isinstance(given[0], pynvml.c_nvmlDevice_t):
                card = given[0] = self._handles[(ctypes.cast(given[0], ctypes.c_void_p).value or 0) - 1]
                if name in card.failing:
                    return card.failing[name]
            return function(*given) or int(pynvml.NVML_SUCCESS)

        return call

    def _open(self, _: int) -> None:
        self.opened += 1

    def _close(self) -> None:
        self.opened -= 1

    def _count(self, count: Any) -> None:
        count._obj.value = len(self.cards)

    def _by_index(self, index: Any, handle: Any) -> int | None:
        card: Card = self.cards[index.value]
        failure = card.failing.get("nvmlDeviceGetHandleByIndex_v2")
        if failure is None:
            self._give(card, handle)
        return failure

    def _give(self, card: Card, handle: Any) -> None:
        self._handles.append(card)
        ctypes.c_void_p.from_buffer(handle._obj).value = len(self._handles)

    def _is_cut(self, _: Card, current: Any, pending: Any) -> None:
        current._obj.value = pending._obj.value = 1

    def _most_instances(self, card: Card, count: Any) -> None:
        count._obj.value = len(card.instances)

    def _instance(self, card: Card, index: Any, handle: Any) -> int | None:
        instance = card.instances[index.value]
        if instance is None:
            return int(pynvml.NVML_ERROR_NOT_FOUND)
        self._give(instance, handle)
        return None

    def _name(self, card: Card, name: Any, _: Any) -> None:
        name.value = card.name.encode()

    def _uuid(self, card: Card, uuid: Any, _: Any) -> None:
        uuid.value = card.uuid.encode()

    def _memory(self, card: Card, memory: Any) -> None:
        memory._obj.total, memory._obj.free = card.total, card.free

    def _processes(self, card: Card, count: Any, found: Any) -> int | None:
        room, count._obj.value = count._obj.value, len(card.processes)
        if found is None or room < len(card.processes):
            return int(pynvml.NVML_ERROR_INSUFFICIENT_SIZE) if card.processes else None
        for place, (pid, memory) in zip(found, card.processes.items(), strict=False):
            place.pid = pid
            place.usedGpuMemory = pynvml.NVML_VALUE_NOT_AVAILABLE_ulonglong.value if memory is None else memory
        return None


Install = Callable[[Driver], Driver]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    def put(driver: Driver) -> Driver:
        monkeypatch.setattr(pynvml, "nvmlLib", driver)
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        return driver

    return put


def test_every_gpu_is_shown_with_its_memory_and_who_uses_it(install: Install) -> None:
    driver = install(Driver(Card(0), Card(1, processes={7: 3 * GIB, 8: None})))
    assert NvmlGpus(None).devices() == (
        Device(index=0, gpu=Gpu(name="NVIDIA A100", uuid="GPU-0", memory_total=80 * GIB, memory_free=79 * GIB)),
        Device(
            index=1,
            gpu=Gpu(name="NVIDIA A100", uuid="GPU-1", memory_total=80 * GIB, memory_free=79 * GIB),
            processes=(GpuProcess(7, 3 * GIB), GpuProcess(8, 0)),
        ),
    )
    assert driver.opened == 0


@pytest.mark.parametrize(
    ("visible", "seen"), [("1", [1]), ("GPU-0,GPU-2", [0, 2]), ("", []), ("-1", []), (None, [0, 1, 2])]
)
def test_what_is_hidden_from_this_process_is_not_there(install: Install, visible: str | None, seen: list[int]) -> None:
    install(Driver(Card(0), Card(1), Card(2)))
    assert [device.index for device in NvmlGpus(visible).devices()] == seen


def test_instances_of_a_gpu_are_devices_with_memory_of_their_own(install: Install) -> None:
    small, other = Card(1, processes={7: GIB}), Card(2)
    small.uuid, other.uuid = "MIG-1", "MIG-2"
    small.total = small.free = 10 * GIB
    install(Driver(Card(0).cut(small, None, other), Card(3).cut(), Card(4)))
    found = NvmlGpus(None).devices()
    assert [(device.index, device.gpu.uuid) for device in found] == [(0, "MIG-1"), (0, "MIG-2"), (2, "GPU-4")]
    assert (found[0].gpu.memory_total, found[0].processes) == (10 * GIB, (GpuProcess(7, GIB),))
    assert [device.gpu.uuid for device in NvmlGpus("MIG-2").devices()] == ["MIG-2"]


@pytest.mark.parametrize("function", ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetUUID"])
def test_a_gpu_that_is_lost_costs_only_itself(
    install: Install, function: str, caplog: pytest.LogCaptureFixture
) -> None:
    driver = install(Driver(Card(0, **{function: pynvml.NVML_ERROR_GPU_IS_LOST}), Card(1)))
    gpus = NvmlGpus(None)
    assert [device.index for device in gpus.devices()] == [device.index for device in gpus.devices()] == [1]
    assert [record.getMessage() for record in caplog.records] == ["GPU 0 cannot be read: GPU is lost"]
    assert driver.opened == 0


def test_a_gpu_with_the_machines_memory_is_shown_without_any(install: Install) -> None:
    install(Driver(Card(0, nvmlDeviceGetMemoryInfo=pynvml.NVML_ERROR_NOT_SUPPORTED)))
    [gpu] = NvmlGpus(None).read()
    assert (gpu.memory_total, gpu.memory_free) == (0, 0)


def test_a_driver_older_than_the_bindings_tells_who_uses_it(install: Install) -> None:
    card = Card(0, processes={7: GIB})
    install(Driver(card, without=("nvmlDeviceGetComputeRunningProcesses_v3",)))
    assert NvmlGpus(None).devices()[0].processes == (GpuProcess(7, GIB),)
    both = "nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"
    install(Driver(card, without=both))
    assert NvmlGpus(None).devices()[0].processes == ()
    card.failing[both[0]] = pynvml.NVML_ERROR_NOT_SUPPORTED
    install(Driver(card))
    assert NvmlGpus(None).devices()[0].processes == ()


@pytest.mark.parametrize("function", ["nvmlInitWithFlags", "nvmlDeviceGetCount_v2"])
def test_a_library_that_fails_shows_none(install: Install, function: str) -> None:
    driver = install(Driver(Card(0), without=(function,)))
    assert NvmlGpus(None).read() == ()
    assert driver.opened == 0


def test_a_machine_without_a_driver_has_none() -> None:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        assert NvmlGpus().read() == ()
    else:
        pynvml.nvmlShutdown()
        assert all(0 <= gpu.memory_free <= gpu.memory_total for gpu in NvmlGpus().read())
