"""Whose tables these are, and what happens to them when their definition changes."""

from __future__ import annotations

import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, select, text, update

from contracts.telemetry import LogLine, TelemetryBatch
from projections import ownership
from projections.database import Database, DatabaseRefused, DatabaseUnavailable, open_database
from projections.ownership import prepare, rebuild
from projections.positions import NotPrepared, claimed_position, projected
from projections.queries.runs import run_detail
from projections.tables import FACTS, SCHEMA_VERSION, TELEMETRY, fact_tables, projection_state
from tests.projections.conftest import LEDGER
from tests.projections.histories import History, identify, project_created, run_requested
from tests.projections.servers import PASSWORD
from tests.projections.tables import append_all, ask, fold_all, projected_position

PROJECT, RUN = identify("project"), identify("run")
HISTORY = History().add(PROJECT, project_created()).add(RUN, run_requested(PROJECT)).facts
BATCH = TelemetryBatch(run_id=RUN, attempt=0, start=0, end=9, lines=(LogLine(0, 1_700_000_000.0, "INFO", "loss 1.7"),))


def names(database: Database) -> set[str]:
    return set(ask(database, lambda connection: inspect(connection).get_table_names()))


def execute(database: Database, statement: str) -> None:
    with database.writing() as connection:
        connection.execute(text(statement))


def set_state(database: Database, **values: Any) -> None:
    with database.writing() as connection:
        connection.execute(update(projection_state).where(projection_state.c.name == FACTS).values(**values))


@pytest.fixture
def filled(database: Database) -> Database:
    fold_all(database, HISTORY)
    append_all(database, BATCH)
    return database


def assert_rebuilt_with_telemetry_kept(database: Database) -> None:
    assert ask(database, lambda connection: claimed_position(connection, FACTS)) == 0
    assert ask(database, lambda connection: claimed_position(connection, TELEMETRY)) == 1
    assert ask(database, lambda connection: run_detail(connection, RUN)) is None
    fold_all(database, HISTORY)
    detail = ask(database, lambda connection: run_detail(connection, RUN))
    assert detail is not None
    assert "loss 1.7" in [entry.message for entry in detail.logs]


def test_the_documented_tables_are_made(database: Database) -> None:
    assert {"projects", "runs", "logs", "artifacts", "metrics", "projection_state"} <= names(database)


def test_preparing_again_changes_nothing(filled: Database) -> None:
    prepare(filled, LEDGER)
    assert ask(filled, projected_position) == 2
    assert ask(filled, lambda connection: run_detail(connection, RUN)) is not None


def test_several_may_prepare_at_once(empty_database: Database, database_url: str) -> None:
    others = [open_database(database_url) for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(prepare, database, LEDGER) for database in (empty_database, *others)]:
            done.result(60)
    for other in others:
        other.close()
    assert fold_all(empty_database, HISTORY) == 2


@pytest.mark.parametrize("foreign", ["projects", "runs", "logs", "artifacts", "projection_state"])
def test_foreign_tables_are_refused_and_left_alone(empty_database: Database, foreign: str) -> None:
    execute(empty_database, f"CREATE TABLE {foreign} (id INTEGER, title VARCHAR(20))")
    execute(empty_database, f"INSERT INTO {foreign} VALUES (1, 'precious')")
    with pytest.raises(DatabaseRefused, match=foreign) as refused:
        prepare(empty_database, LEDGER)
    assert "\n" not in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert names(empty_database) == {foreign}
    rows = ask(empty_database, lambda connection: connection.execute(text(f"SELECT * FROM {foreign}")).all())
    assert rows == [(1, "precious")]


def test_tables_of_others_may_stand_beside_ours(empty_database: Database) -> None:
    execute(empty_database, "CREATE TABLE experiments (id INTEGER)")
    prepare(empty_database, LEDGER)
    rebuild(empty_database, LEDGER)
    assert "experiments" in names(empty_database)


def test_another_ledger_is_refused(filled: Database) -> None:
    with pytest.raises(DatabaseRefused, match="another ledger"):
        prepare(filled, "another")
    assert ask(filled, projected_position) == 2


def test_a_newer_schema_is_refused(filled: Database) -> None:
    set_state(filled, schema_version=SCHEMA_VERSION + 1)
    with pytest.raises(DatabaseRefused, match="newer release"):
        prepare(filled, LEDGER)
    assert ask(filled, projected_position) == 2


@pytest.mark.parametrize("change", [{"fingerprint": "of another shape"}, {"schema_version": SCHEMA_VERSION - 1}])
def test_an_older_shape_is_rebuilt_and_telemetry_kept(filled: Database, change: dict[str, Any]) -> None:
    set_state(filled, **change)
    with pytest.raises(NotPrepared):
        ask(filled, lambda connection: claimed_position(connection, FACTS))
    prepare(filled, LEDGER)
    assert_rebuilt_with_telemetry_kept(filled)


def test_tables_that_are_rebuilt_say_so_until_they_are_where_they_were(filled: Database) -> None:
    assert not ask(filled, projected).is_rebuilding
    for _ in range(2):
        rebuild(filled, LEDGER)
        assert ask(filled, projected) == (0, 2)
        fold_all(filled, HISTORY[:1])
        assert ask(filled, projected).is_rebuilding
    fold_all(filled, HISTORY, after=1)
    assert not ask(filled, projected).is_rebuilding


def test_a_state_of_the_first_release_gets_its_new_column(filled: Database) -> None:
    execute(filled, "ALTER TABLE projection_state DROP COLUMN rebuilt_to")
    prepare(filled, LEDGER)
    assert ask(filled, projected) == (2, 0)
    rebuild(filled, LEDGER)
    assert ask(filled, projected) == (0, 2)


def test_a_column_that_is_new_is_there_after_the_rebuild(filled: Database) -> None:
    execute(filled, "ALTER TABLE runs DROP COLUMN node")
    set_state(filled, fingerprint="of the release before")
    prepare(filled, LEDGER)
    assert_rebuilt_with_telemetry_kept(filled)


def test_a_fact_table_that_was_dropped_by_hand_comes_back(filled: Database) -> None:
    execute(filled, "DROP TABLE artifacts")
    prepare(filled, LEDGER)
    assert_rebuilt_with_telemetry_kept(filled)


def test_a_new_column_of_telemetry_is_added_to_what_is_there(filled: Database) -> None:
    execute(filled, "ALTER TABLE metrics DROP COLUMN step")
    prepare(filled, LEDGER)
    assert "step" in ask(filled, lambda c: {column["name"] for column in inspect(c).get_columns("metrics")})
    assert ask(filled, projected_position) == 2


@pytest.mark.parametrize("dies_before", ["create_all", "drop_all"])
def test_a_preparation_that_was_killed_is_finished_by_the_next(
    filled: Database, monkeypatch: pytest.MonkeyPatch, dies_before: str
) -> None:
    set_state(filled, fingerprint="of the release before")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fact_tables, dies_before, die)
        with pytest.raises(KeyboardInterrupt):
            prepare(filled, LEDGER)
    prepare(filled, LEDGER)
    assert_rebuilt_with_telemetry_kept(filled)


def test_a_first_preparation_that_was_killed_is_finished_by_the_next(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("_make_facts", "_make_telemetry"):
        with monkeypatch.context() as patch:
            patch.setattr(ownership, step, die)
            with pytest.raises(KeyboardInterrupt):
                prepare(empty_database, LEDGER)
    prepare(empty_database, LEDGER)
    assert fold_all(empty_database, HISTORY) == 2


def test_a_rebuild_is_said_in_the_log(filled: Database, caplog: pytest.LogCaptureFixture) -> None:
    set_state(filled, fingerprint="of the release before")
    with caplog.at_level(logging.WARNING):
        prepare(filled, LEDGER)
    assert "rebuilt" in caplog.text


def test_the_state_names_both_streams(filled: Database) -> None:
    rows = ask(filled, lambda connection: connection.execute(select(projection_state)).all())
    assert {row.name: row.position for row in rows} == {FACTS: 2, TELEMETRY: 1}
    assert {row.ledger for row in rows} == {LEDGER}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "is not a database URL"),
        (f"what://user:{PASSWORD}@host/name", "no driver"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:////no/such/directory/training.db", "/no/such/directory/training.db"),
        (f"postgresql+asyncpg://user:{PASSWORD}@host/name", "postgresql"),
        ("sqlite+aiosqlite:///training.db", "sqlite"),
    ],
)
def test_urls_that_cannot_be_used_are_refused_in_a_sentence(url: str, says: str) -> None:
    with pytest.raises(DatabaseRefused, match=says) as refused:
        open_database(url).close()
    assert "TRAINING_DB_URL" in str(refused.value)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "mariadb"])
def test_a_server_that_does_not_answer_is_unavailable(scheme: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        database = open_database(f"{scheme}://tester:{PASSWORD}@127.0.0.1:{taken.getsockname()[1]}/name")
        with pytest.raises(DatabaseUnavailable, match="TRAINING_DB_URL") as unavailable:
            prepare(database, LEDGER)
        database.close()
    assert PASSWORD not in str(unavailable.value)
    assert "\n" not in str(unavailable.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "training.db").write_text("not a database, " * 100)
    database = open_database(f"sqlite:///{tmp_path / 'training.db'}")
    with pytest.raises(DatabaseRefused, match="not a database"):
        prepare(database, LEDGER)
    database.close()
    assert (tmp_path / "training.db").read_text().startswith("not a database")


def test_reads_cannot_write(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'training.db'}")
    prepare(database, LEDGER)
    with pytest.raises(Exception, match="readonly"), database.reading() as connection:
        connection.execute(text("DELETE FROM projection_state"))
    database.close()
