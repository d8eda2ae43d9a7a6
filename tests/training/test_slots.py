"""Who may begin, in which order."""

from __future__ import annotations

from uuid import UUID

from services.training.slots import Running, Slots, Waiting

LOCAL = Running("local", None)


def waiting(slots: Slots, number: int, takes: Running = LOCAL) -> Waiting:
    slots.expect(UUID(int=number))
    return slots.wait(UUID(int=number), number, takes)


def states(*runs: Waiting) -> list[str]:
    return ["begins" if run.admitted.is_set() else f"{run.ahead} ahead" for run in runs if run.decided.is_set()]


def test_without_a_limit_all_begin() -> None:
    slots = Slots()
    slots.expect(UUID(int=9))
    assert states(*(waiting(slots, number) for number in range(3))) == ["begins"] * 3


def test_further_runs_wait_in_the_order_of_their_requests() -> None:
    slots = Slots(1)
    slots.expect(UUID(int=2))
    third, first = waiting(slots, 3), waiting(slots, 1)
    assert states(third, first) == []  # nothing is known of the second yet
    second = slots.wait(UUID(int=2), 2, LOCAL)
    assert states(first, second, third) == ["begins", "0 ahead", "1 ahead"]
    slots.leave(UUID(int=1))
    assert states(second, third) == ["begins", "0 ahead"]
    slots.leave(UUID(int=2))
    assert states(third) == ["begins"]


def test_what_runs_already_counts_before_anybody_begins() -> None:
    slots = Slots(1)
    slots.expect(UUID(int=1))
    second = waiting(slots, 2)
    slots.occupy(UUID(int=1), LOCAL)
    assert states(second) == ["0 ahead"]


def test_who_goes_away_lets_others_forward() -> None:
    slots = Slots(1)
    _, second, third = (waiting(slots, number) for number in (1, 2, 3))
    slots.leave(UUID(int=2))
    slots.leave(UUID(int=1))
    assert states(second, third) == ["0 ahead", "begins"]


def test_a_run_that_cannot_be_read_stops_nobody() -> None:
    slots = Slots(1)
    slots.expect(UUID(int=1))
    second = waiting(slots, 2)
    slots.give_up(UUID(int=1))
    assert states(second) == ["begins"]


def test_one_directory_is_one_runs_at_a_time() -> None:
    slots = Slots()
    here, there = Running("local", "/a"), Running("local", "/b")
    first, second, third, fourth = (
        waiting(slots, number, takes) for number, takes in enumerate((here, here, there, LOCAL), 1)
    )
    assert states(first, second, third, fourth) == ["begins", "0 ahead", "begins", "begins"]
    slots.leave(UUID(int=1))
    assert states(second) == ["begins"]


def test_executors_are_counted_apart() -> None:
    slots = Slots(1)
    slots.occupy(UUID(int=1), Running("docker", None))
    assert states(waiting(slots, 2), waiting(slots, 3)) == ["begins", "0 ahead"]


def test_whoever_is_first_in_line_is_asked_for_and_the_others_wait_for_him() -> None:
    slots = Slots(by_gpu=True)
    slots.expect(UUID(int=1))
    second, third = (waiting(slots, number) for number in (2, 3))
    assert (slots.first, states(second, third)) == (None, [])  # nothing is known of the first yet
    first = slots.wait(UUID(int=1), 1, LOCAL)
    assert (slots.first, states(first, second, third)) == (UUID(int=1), [])
    slots.allow(UUID(int=1))
    assert (slots.first, states(first, second, third)) == (UUID(int=2), ["begins"])
    slots.refuse(UUID(int=2))
    assert (slots.first, states(second, third)) == (UUID(int=2), ["0 ahead", "1 ahead"])
    slots.leave(UUID(int=2))
    assert (slots.first, states(third)) == (UUID(int=3), ["1 ahead"])
    slots.allow(UUID(int=3))
    assert (slots.first, states(third)) == (None, ["begins"])


def test_gpus_are_asked_for_once_there_is_a_slot() -> None:
    slots = Slots(1, by_gpu=True)
    slots.allow(UUID(int=1))  # as the ledger says at the start
    first, second = waiting(slots, 1), waiting(slots, 2)
    assert (slots.first, states(first, second)) == (None, ["begins", "0 ahead"])
    slots.leave(UUID(int=1))
    assert slots.first == UUID(int=2)
    slots.refuse(UUID(int=9))  # it has ended meanwhile
    slots.allow(UUID(int=2))
    assert states(second) == ["begins"]
