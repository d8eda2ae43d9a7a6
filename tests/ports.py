"""Ports for servers that tests start, each given once on this machine, to whichever process asks."""

from __future__ import annotations

import errno
import socket

_HOST = "127.0.0.1"
_kept: list[socket.socket] = []


def free_port() -> int:
    """A port that stays with this process, also while nothing listens there: what a test kills can be started again.

    It is bound, not listened on. Servers, which all set SO_REUSEADDR, can listen there; neither the next who asks for
    any port nor an outgoing connection is given it by the kernel.
    """
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of so many in a row, each as `free_port` gives it."""
    while True:
        row: list[socket.socket] = []
        try:
            first = _bound(0, row)
            for port in range(first + 1, first + count):
                _bound(port, row)
        except OSError as error:
            for one in row:
                one.close()
            if error.errno != errno.EADDRINUSE:
                raise
        except OverflowError:  # beyond the last port
            for one in row:
                one.close()
        else:
            _kept.extend(row)
            return first


def _bound(port: int, row: list[socket.socket]) -> int:
    one = socket.socket()
    row.append(one)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((_HOST, port))
    found: int = one.getsockname()[1]
    return found
