"""Which keys two configurations differ in."""

from __future__ import annotations

from contracts.train_config import Changed, Difference, Present
from services.runtime.train_config.reading import Node


def difference(old: Node, new: Node) -> Difference:
    """Of two mappings. Mappings are compared key by key, however deep, and everything else as a whole."""
    added: list[Present] = []
    removed: list[Present] = []
    changed: list[Changed] = []
    waiting = [("", old, new)]
    while waiting:
        pointer, before, after = waiting.pop()
        if before.kind == after.kind == "mapping":
            was, now = _by_key(pointer, before), _by_key(pointer, after)
            removed += (Present(pointer=key, value=value.value()) for key, value in was.items() if key not in now)
            added += (Present(pointer=key, value=value.value()) for key, value in now.items() if key not in was)
            waiting += ((key, value, now[key]) for key, value in was.items() if key in now)
        elif (before.kind, before.value()) != (after.kind, after.value()):
            changed.append(Changed(pointer=pointer, old=before.value(), new=after.value()))
    return Difference(
        added=tuple(sorted(added, key=lambda one: one.pointer)),
        removed=tuple(sorted(removed, key=lambda one: one.pointer)),
        changed=tuple(sorted(changed, key=lambda one: one.pointer)),
    )


def _by_key(pointer: str, node: Node) -> dict[str, Node]:
    return {f"{pointer}/{key.text.replace('~', '~0').replace('/', '~1')}": value for key, value in node.entries}
