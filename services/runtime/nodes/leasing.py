"""What the GPUs of this machine look like to those who lease them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from contracts.leases import GpuOffer
from events.leases import LeasedGpu
from services.runtime.nodes.gpus import Device

_MARKS = (b"TRAINLEDGER_DEPLOYMENT=", b"TRAINLEDGER_RUN=")


def offers(devices: Iterable[Device], holders: Iterable[UUID]) -> tuple[GpuOffer, ...]:
    """What processes of holders use is theirs; all else that is used, and what nobody can tell, is foreign."""
    known = frozenset(map(str, holders))
    return tuple(_offer(device, known) for device in devices)


def _offer(device: Device, holders: frozenset[str]) -> GpuOffer:
    own = [process for process in device.processes if holder_of(process.pid) in holders]
    used = device.gpu.memory_total - device.gpu.memory_free
    return GpuOffer(
        index=device.index,
        uuid=device.gpu.uuid,
        memory_total=device.gpu.memory_total,
        memory_free=device.gpu.memory_free,
        foreign_memory=max(used - sum(process.memory for process in own), 0),
        foreign_processes=len(device.processes) - len(own),
    )


def visible(gpus: Iterable[LeasedGpu]) -> dict[str, str]:
    """The variables that show a process these and no others."""
    # By index: some programs take no UUID. But an instance of a GPU (MIG) has no index of its own.
    names = [gpu.uuid if gpu.uuid.startswith("MIG-") else str(gpu.index) for gpu in gpus]
    # NVML counts in the order of the bus, CUDA only where it is told so.
    return {"CUDA_VISIBLE_DEVICES": ",".join(names), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def holder_of(pid: int) -> str | None:
    """Whose process it is: the id of a deployment or a run, by the mark in its environment."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    for variable in environment.split(b"\0"):
        for mark in _MARKS:
            if variable.startswith(mark):
                return variable.removeprefix(mark).partition(b"/")[0].decode(errors="replace")
    return None
