"""Which runs write into the same directory at the same time: what appears there is then nobody's for certain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from services.training.executors import Place

_MARK = "output-overlapped"


class Overlaps:
    """Knows the live runs of one process; that two ever overlapped is kept in their directories."""

    def __init__(self) -> None:
        self._users: dict[str, set[Place]] = {}

    @contextmanager
    def using(self, place: Place, directory: str | None) -> Iterator[None]:
        if directory is None:
            yield
            return
        users = self._users.setdefault(directory, set())
        users.add(place)
        if len(users) > 1:
            for user in users:
                (user.directory / _MARK).touch()
        try:
            yield
        finally:
            users.discard(place)
            if not users:
                self._users.pop(directory, None)


def overlapped(place: Place) -> bool:
    return (place.directory / _MARK).exists()
