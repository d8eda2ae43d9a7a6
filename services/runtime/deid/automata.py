"""What a regular expression can cost at worst, told from the automaton that it is."""

from __future__ import annotations

import re
import re._constants as of  # type: ignore[import-not-found]
import re._parser as _parser  # type: ignore[import-not-found]
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

Ranges = list[tuple[int, int]]


class State(NamedTuple):
    """The nodes that take characters, by preference; whether a match can begin later; whether one has just ended."""

    nodes: tuple[int, ...]
    begins: bool
    ended: bool


_LAST = 0x10FFFF
_MOST_NODES = 4_000
_MOST_STEPS = 300_000

_MATCH_MS, _PASS_MS, _STEP_MS = 30.0, 0.25, 4e-5
_THRASHING_MS, _NODE_MS = 40.0, 0.25
"""Of RE2, for 100 KB: of one match a byte and its resolution, of one pass, of each step to make its states; and where
there are too many of those to keep, until that shows, and for each node that every byte then looks at."""
_REPLACED_MS = 140.0
"""To replace every byte by itself."""


class TooLarge(Exception):
    """An expression of more nodes than are worth a look."""


class Automaton:
    """Of an expression that Python's `re` and RE2 read alike, as RE2 runs it: bytes, and classes of ASCII.

    Raises re.error, OverflowError, TooLarge; ValueError where it refers back or looks around.
    """

    def __init__(self, expression: str, *, ignore_case: bool = False) -> None:
        parsed = _parser.parse(expression, re.IGNORECASE if ignore_case else 0)
        least, most = parsed.getwidth()
        self.empty, self.bounded = least == 0, most < of.MAXREPEAT
        self._parsed, self._flags = parsed, parsed.state.flags

    def written_out(self) -> tuple[_Nodes, _Nodes]:
        """All of its nodes, as it is read forth and back. Raises what the class says."""
        return _Nodes(self._parsed, self._flags), _Nodes(self._parsed, self._flags, back=True)

    def costs(self) -> tuple[float, float]:
        """Milliseconds of the processor for the worst 100 KB, to search it and to replace what is found.

        Of an expression that is neither empty nor without bound: after each match the search begins anew, and one can
        look ahead as far as a longer one reaches.
        """
        forth, back = self.written_out()
        shortest, longest = forth.lengths()
        states, states_back = forth.states(), back.states()
        ahead = longest if states is None else forth.widest() * _farthest(states[0])
        passes = 1 + ahead / shortest
        if states is None or states_back is None:
            cost = _THRASHING_MS + _NODE_MS * forth.weight() * passes
        else:
            cost = _STEP_MS * (states[1] + states_back[1])
        return cost + _MATCH_MS / shortest + _PASS_MS * passes, _REPLACED_MS / shortest


class _Nodes:
    """Nodes either take a character and lead on, or lead on to several in the order of their preference.

    `back`: of what the expression matches, read from its end, which tells where a match begins.
    """

    def __init__(self, parsed: Any, flags: int, *, back: bool = False) -> None:
        self._characters = list[Ranges | None]()
        self._next = list[Sequence[int]]()
        self._back = back
        self._match = self._node(None, ())
        self._start = self._built(parsed, flags, self._match)

    def _node(self, characters: Ranges | None, following: Sequence[int]) -> int:
        if len(self._next) > _MOST_NODES:
            raise TooLarge
        self._characters.append(characters)
        self._next.append(following)
        return len(self._next) - 1

    def _built(self, items: Any, flags: int, following: int) -> int:
        """The node that a sequence begins with."""
        for operation, given in items if self._back else reversed(items):
            if operation is of.AT:
                continue  # that it may not hold only spares work
            if operation is of.BRANCH:
                following = self._node(None, [self._built(branch, flags, following) for branch in given[1]])
            elif operation is of.SUBPATTERN:
                _, more, less, body = given
                following = self._built(body, (flags | more) & ~less, following)
            elif operation in (of.MAX_REPEAT, of.MIN_REPEAT):
                following = self._repeated(given, flags, following, lazy=operation is of.MIN_REPEAT)
            elif operation in (of.LITERAL, of.NOT_LITERAL, of.ANY, of.IN):
                following = self._node(_ranges(operation, given, flags), (following,))
            else:
                raise ValueError(operation)
        return following

    def _repeated(self, given: tuple[int, int, Any], flags: int, following: int, *, lazy: bool) -> int:
        least, most, body = given
        end = following
        for count in range(most):
            begun = self._built(body, flags, following)
            if begun == following:
                break  # nothing but assertions
            if count < most - least:
                begun = self._node(None, (end, begun) if lazy else (begun, end))
            following = begun
        return following

    def lengths(self) -> tuple[int, int]:
        """Bytes of the shortest and of the longest match."""
        shortest, longest = [0] * len(self._next), [0] * len(self._next)
        for node, following in enumerate(self._next[1:], 1):  # each was made after those that it leads to
            widths = _widths(self._characters[node])
            shortest[node] = min(shortest[other] for other in following) + widths[0]
            longest[node] = max(longest[other] for other in following) + widths[1]
        return shortest[self._start], longest[self._start]

    def weight(self) -> int:
        """Nodes that a byte can be compared with at once; those of more than ASCII begin with many bytes."""
        return sum(1 + (_widths(ranges)[1] > 1) for ranges in self._characters if ranges is not None)

    def widest(self) -> int:
        return max(_widths(ranges)[1] for ranges in self._characters)

    def states(self) -> tuple[dict[State, set[State]], int] | None:
        """All that searching can come to, from each those that follow, and in how many steps; None where they are many.

        RE2 makes each once and then keeps it.
        """
        atoms = self._atoms()
        first = self._followed((self._start,), begins=not self._back)
        found, left, steps = dict[State, set[State]](), [first], 0
        while left:
            state = left.pop()
            if state in found:
                continue
            found[state] = set()
            for members in atoms:
                following = [other for node in state.nodes if node in members for other in self._next[node]]
                if state.begins:
                    following.append(self._start)
                found[state].add(self._followed(following, begins=state.begins))
                steps += len(state.nodes) + len(following) + 1
            left.extend(found[state])
            if steps > _MOST_STEPS:
                return None
        return found, steps

    def _followed(self, nodes: Sequence[int], *, begins: bool) -> State:
        """What is less preferred than a match is dropped; read from the end the longest match is looked for instead."""
        found = dict[int, None]()
        left, seen = list(reversed(nodes)), set[int]()
        while left:
            node = left.pop()
            if node in seen:
                continue
            seen.add(node)
            if node == self._match:
                if not self._back:
                    return State(tuple(found), begins=False, ended=True)
            elif self._characters[node] is None:
                left.extend(reversed(self._next[node]))
            else:
                found[node] = None
        return State(tuple(sorted(found) if self._back else found), begins, ended=False)

    def _atoms(self) -> list[frozenset[int]]:
        """For each kind of character the nodes that take it; each kind once."""
        edges = {
            0,
            *(edge for ranges in self._characters for first, last in ranges or () for edge in (first, last + 1)),
        }
        kinds = [
            frozenset(
                node
                for node, ranges in enumerate(self._characters)
                if ranges is not None and any(first <= edge <= last for first, last in ranges)
            )
            for edge in edges
        ]
        return list(dict.fromkeys(kinds))


def _farthest(states: dict[State, set[State]]) -> int:
    """The most characters that are looked at after a match for a longer one, until there is one or can be none."""
    farthest = dict[State, int]()
    left = [state for state in states if state.ended]
    while left:
        state = left[-1]
        ahead = [other for other in states[state] if other.nodes and not other.ended]
        if missing := [other for other in ahead if other not in farthest]:
            left += missing
        else:
            farthest[left.pop()] = bool(state.nodes) + max((farthest[other] for other in ahead), default=0)
    return max((farthest[state] for state in states if state.ended), default=0)


def _widths(ranges: Ranges | None) -> tuple[int, int]:
    """Bytes of the shortest and of the longest of these characters."""
    if not ranges:
        return 0, 0
    return _bytes(ranges[0][0]), _bytes(ranges[-1][1])


def _bytes(point: int) -> int:
    return 1 + (point >= 0x80) + (point >= 0x800) + (point >= 0x10000)


_CATEGORIES: dict[Any, Ranges] = {
    of.CATEGORY_DIGIT: [(48, 57)],
    of.CATEGORY_SPACE: [(9, 13), (32, 32)],
    of.CATEGORY_WORD: [(48, 57), (65, 90), (95, 95), (97, 122)],
}
_NOT = {
    of.CATEGORY_NOT_DIGIT: of.CATEGORY_DIGIT,
    of.CATEGORY_NOT_SPACE: of.CATEGORY_SPACE,
    of.CATEGORY_NOT_WORD: of.CATEGORY_WORD,
}


def _ranges(operation: Any, given: Any, flags: int) -> Ranges:
    """The characters that one item takes, in ascending order."""
    if operation is of.ANY:
        return [(0, _LAST)] if flags & re.DOTALL else _others([(10, 10)])
    items = given if operation is of.IN else [(of.LITERAL, given)]
    negated = operation is of.NOT_LITERAL or items[0][0] is of.NEGATE
    ranges = _merged(pair for item in items for pair in _members(item, flags))
    return _others(ranges) if negated else ranges


def _members(item: tuple[Any, Any], flags: int) -> Iterator[tuple[int, int]]:
    operation, given = item
    if operation is of.CATEGORY:
        yield from _CATEGORIES[given] if given in _CATEGORIES else _others(_CATEGORIES[_NOT[given]])
    elif operation in (of.LITERAL, of.RANGE):
        first, last = (given, given) if operation is of.LITERAL else given
        yield first, last
        if flags & re.IGNORECASE:
            for start, by in ((65, 32), (97, -32)):
                if (low := max(first, start)) <= (high := min(last, start + 25)):
                    yield low + by, high + by


def _merged(ranges: Iterator[tuple[int, int]]) -> Ranges:
    merged: Ranges = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return merged


def _others(ranges: Ranges) -> Ranges:
    around = [(-1, -1), *ranges, (_LAST + 1, _LAST + 1)]
    return [(last + 1, first - 1) for (_, last), (first, _) in pairwise(around) if last + 1 <= first - 1]
