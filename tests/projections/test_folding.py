"""Facts into rows: the same rows however the facts come, all or none, by one projector at a time."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from events.catalogue import FACTS
from events.commands import CommandRefused
from events.runs import RunRequested
from projections.catalogue import HANDLERS, NOT_PROJECTED
from projections.database import Database
from projections.folding import fold
from projections.ownership import rebuild
from projections.positions import Overtaken
from projections.tables import artifacts, projects, runs
from tests.projections.conftest import LEDGER
from tests.projections.histories import History, identify, realistic
from tests.projections.tables import ask, checksum_at, fold_all, projected_position

HISTORY = realistic(400, projects=5, at_once=5)

# The same on every database: computed by all of them, compared with this.
CHECKSUM_AT_250: dict[str, str] = {}


def test_every_fact_is_handled_or_listed_as_not_projected() -> None:
    assert set(HANDLERS) | set(NOT_PROJECTED) == set(FACTS.values())
    assert not set(HANDLERS) & set(NOT_PROJECTED)


@pytest.mark.parametrize("batch", [1, 7, 400])
def test_rows_do_not_depend_on_the_batches(database: Database, batch: int) -> None:
    assert fold_all(database, HISTORY, batch) == 400
    assert ask(database, projected_position) == 400
    sums = [checksum_at(database, position) for position in (0, 1, 250, 399, 400)]
    assert len(set(sums)) == len(sums)
    assert CHECKSUM_AT_250.setdefault("checksum", sums[2]) == sums[2]


def test_rebuilt_equals_what_grew(database: Database) -> None:
    fold_all(database, HISTORY, 3)
    grown = checksum_at(database, 400)
    rebuild(database, LEDGER)
    assert ask(database, projected_position) == 0
    fold_all(database, HISTORY)
    assert checksum_at(database, 400) == grown


def test_at_most_one_version_of_a_row_holds_now(database: Database) -> None:
    fold_all(database, HISTORY, 5)
    for table in (projects, runs, artifacts):
        doubled = select(table.c.id).where(table.c.until.is_(None)).group_by(table.c.id).having(func.count() > 1)
        assert ask(database, lambda connection, doubled=doubled: connection.execute(doubled).all()) == []  # type: ignore[misc]


def test_facts_at_or_below_the_position_are_skipped(database: Database) -> None:
    fold_all(database, HISTORY[:100])
    assert fold_all(database, HISTORY[:50], after=100) == 100
    assert fold_all(database, HISTORY[90:120], after=100) == 120


def test_facts_that_no_table_shows_move_the_position(database: Database) -> None:
    history = History().add(identify("command"), CommandRefused(command="StartRun", code="project_not_found"))
    assert fold_all(database, history.facts) == 1
    assert ask(database, projected_position) == 1


def test_whoever_is_overtaken_changes_nothing(database: Database) -> None:
    fold_all(database, HISTORY[:20])
    before = checksum_at(database, 20)
    with pytest.raises(Overtaken), database.writing() as connection:
        fold(connection, HISTORY[:30], 10)
    assert ask(database, projected_position) == 20
    assert checksum_at(database, 20) == before


def test_two_projectors_at_once_fold_every_fact_once(database: Database) -> None:
    together = Barrier(2, timeout=60)

    def project() -> int:
        overtaken = 0
        position = 0
        together.wait()
        while position < len(HISTORY):
            try:
                with database.writing() as connection:
                    position = fold(connection, HISTORY[position : position + 10], position)
            except Overtaken:
                overtaken += 1
                position = ask(database, projected_position)
        return overtaken

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(project), pool.submit(project)
        assert first.result(60) + second.result(60) > 0
    both = checksum_at(database, len(HISTORY))
    rebuild(database, LEDGER)
    fold_all(database, HISTORY)
    assert checksum_at(database, len(HISTORY)) == both


def test_an_error_inside_a_batch_leaves_rows_and_position(database: Database) -> None:
    fold_all(database, HISTORY[:50])
    before = checksum_at(database, 1_000)
    twice = next(recorded for recorded in HISTORY[60:] if isinstance(recorded.fact, RunRequested))
    broken = sorted([*HISTORY[50:200], twice], key=lambda recorded: recorded.meta.position)
    with pytest.raises(IntegrityError):
        fold_all(database, broken, after=50)
    assert ask(database, projected_position) == 50
    assert checksum_at(database, 1_000) == before


_VICTIM = """
import sys
from projections.database import open_database
from tests.projections.histories import realistic
from tests.projections.tables import fold_all, projected_position
facts = realistic(5_000, projects=5, at_once=5)
database = open_database(sys.argv[1])
print("folding", flush=True)
after = 0
while after < len(facts):
    after = fold_all(database, facts[after:after + 20], after=after)
    if after == 200:
        print("on the way", flush=True)
"""


def test_a_projector_that_is_killed_leaves_a_position_and_its_rows(database: Database, database_url: str) -> None:
    with subprocess.Popen([sys.executable, "-c", _VICTIM, database_url], stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == "folding\n"
        assert victim.stdout.readline() == "on the way\n"
        victim.kill()
    position = ask(database, projected_position)
    assert position >= 200
    left = checksum_at(database, 1_000_000)
    rebuild(database, LEDGER)
    fold_all(database, realistic(5_000, projects=5, at_once=5)[:position])
    assert checksum_at(database, 1_000_000) == left
