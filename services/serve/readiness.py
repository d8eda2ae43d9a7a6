"""Whether the edge that `serve` started answers; what answers on its port may be another start's."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from services.runtime.addresses import reachable

_LISTENS = "0A"  # TCP_LISTEN, as /proc/net/tcp writes it


def is_ready(host: str, port: int, edge: int) -> bool:
    """Whether the process `edge` answers and the tables that it reads are there, however far the projector is."""
    answer = _answer(reachable(host), port, "/readyz")
    tables_are_there = b" 200 " in answer[:16] or (b" 503 " in answer[:16] and b'"/database"' not in answer)
    return tables_are_there and _listens(edge, port)  # in this order: whoever answered is listed by then


def _answer(host: str, port: int, path: str) -> bytes:
    """Of which the head may come alone; empty where there is none."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    with suppress(OSError), socket.create_connection((host, port), timeout=1) as connection:
        connection.settimeout(2.5)  # readyz may wait for the projector, 2 s at most
        connection.sendall(request)
        with connection.makefile("rb") as answer:
            return answer.read(16_384)
    return b""


def _listens(pid: int, port: int) -> bool:
    """Whether that process listens on the port; so believed where the kernel lists no listener there at all."""
    listeners = {
        f"socket:[{inode}]"
        for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
        if table.exists()
        for _, local, _, state, *_, inode in (line.split()[:10] for line in table.read_text().splitlines()[1:])
        if state == _LISTENS and int(local.rpartition(":")[2], 16) == port
    }
    if not listeners:
        return True
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(descriptor.readlink()) in listeners:
                    return True
    return False
