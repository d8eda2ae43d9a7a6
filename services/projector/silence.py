"""How long each node has been silent, counted only while somebody listened."""

from __future__ import annotations


class Silence:
    """Of nodes by name, in seconds."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._heard: set[str] = set()
        self._looked: float | None = None

    def heard(self, node: str, *, gone: bool = False) -> None:
        """A heartbeat; `gone`: the node is forgotten."""
        if gone:
            self._seconds.pop(node, None)
        else:
            self._seconds[node] = 0.0
            self._heard.add(node)

    def look(self, now: float, *, longest: float) -> None:
        """All heartbeats up to now were seen. After more than `longest` without a look, the count begins anew."""
        passed = None if self._looked is None else now - self._looked
        if passed is None or passed > longest:
            self.interrupt()
        else:
            for node in self._seconds.keys() - self._heard:
                self._seconds[node] += passed
        self._heard.clear()
        self._looked = now

    def interrupt(self) -> None:
        """Heartbeats may have been impossible: nothing that was counted holds."""
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        self._looked = None

    def longer_than(self, patience: float) -> list[tuple[str, float]]:
        return [(node, seconds) for node, seconds in self._seconds.items() if seconds >= patience]
