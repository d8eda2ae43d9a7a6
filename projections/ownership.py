"""Whose tables these are: made as needed, rebuilt where their definition changed, left alone where they are foreign."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Table, inspect, select, update
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.schema import CreateColumn

from projections.database import Database, DatabaseRefused, DatabaseUnavailable
from projections.tables import (
    FACTS,
    OUR_NAMES,
    SCHEMA_VERSION,
    TELEMETRY,
    fact_tables,
    fingerprint,
    projection_state,
    state_tables,
    telemetry_tables,
)

_log = logging.getLogger(__name__)

_LOCK_NUMBER = 7_405_136_113_902_847_001  # PostgreSQL's advisory locks go by number, those of MySQL by name
_LOCK_NAME = "trainledger-prepare"
_LOCK_SECONDS = 60
# What a facts row holds while its tables are being made, so that a crash in between is seen at the next start.
_UNFINISHED = "unfinished"
# Of the state table since the first release: what has them is ours, and what it lacks is added.
_OURS = {"name", "ledger", "schema_version", "fingerprint", "position"}


def prepare(database: Database, ledger: str) -> None:
    """Makes the tables that are missing and empties the fact tables where they are of an older shape.

    `ledger` names the log whose facts the tables hold. Safe to be killed in and to be called by several at once.
    Raises DatabaseRefused, having changed nothing, where tables of our names are somebody else's or of a newer
    release, and DatabaseUnavailable where the database does not answer.
    """
    try:
        with database.reading() as connection:
            _refuse_foreign(connection, database, ledger)
        with database.writing() as connection, _alone(connection):
            _refuse_foreign(connection, database, ledger)
            _make_state(connection, ledger)
            _make_facts(connection)
            _make_telemetry(connection)
    except (OperationalError, InterfaceError) as error:
        raise DatabaseUnavailable(_sentence(database, error)) from error
    except DBAPIError as error:
        raise DatabaseRefused(_sentence(database, error)) from error


def rebuild(database: Database, ledger: str) -> None:
    """Empties the fact tables and sets their position to 0; a projector, also a running one, fills them again.

    Until they are where they were, whoever reads them is to be told so.
    """
    prepare(database, ledger)
    with database.writing() as connection:
        empty_facts(connection)


def empty_facts(connection: Connection) -> None:
    """Makes the fact tables anew, at position 0."""
    with _alone(connection):
        _empty_facts(connection)


def _sentence(database: Database, error: DBAPIError) -> str:
    reason = " ".join(str(error.orig).split())
    return f"TRAINING_DB_URL ({database.name}) cannot be used: {reason}"


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Keeps others from preparing the same tables at the same time. SQLite's write transaction does so by itself."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})")
        yield
    elif connection.dialect.name in ("mysql", "mariadb"):
        if connection.exec_driver_sql(f"SELECT GET_LOCK('{_LOCK_NAME}', {_LOCK_SECONDS})").scalar() != 1:
            raise DatabaseUnavailable("the tables of TRAINING_DB_URL are being prepared by another process")
        try:
            yield
        finally:
            connection.exec_driver_sql(f"SELECT RELEASE_LOCK('{_LOCK_NAME}')")
    else:
        yield


def _refuse_foreign(connection: Connection, database: Database, ledger: str) -> None:
    present = _present(connection)
    if not present:
        return
    mine = f"TRAINING_DB_URL ({database.name})"
    foreign = DatabaseRefused(
        f"{mine} holds tables of another application ({', '.join(sorted(present))}): name another database"
    )
    if projection_state.name not in present:
        raise foreign
    columns = {column["name"] for column in inspect(connection).get_columns(projection_state.name)}
    if not columns >= _OURS:
        raise foreign
    states = connection.execute(select(projection_state.c.ledger, projection_state.c.schema_version)).all()
    if not states and present != {projection_state.name}:
        raise foreign
    for state in states:
        if state.ledger != ledger:
            raise DatabaseRefused(f"{mine} holds the tables of another ledger ({state.ledger}): name another database")
        if state.schema_version > SCHEMA_VERSION:
            raise DatabaseRefused(
                f"{mine} was written by a newer release: its schema is {state.schema_version},"
                f" this release knows {SCHEMA_VERSION}"
            )


def _present(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) & OUR_NAMES


def _make_state(connection: Connection, ledger: str) -> None:
    state_tables.create_all(connection)
    _add_missing_columns(connection, projection_state)
    known = set(connection.scalars(select(projection_state.c.name)))
    for name in (TELEMETRY, FACTS):
        if name not in known:
            row = {
                "name": name,
                "ledger": ledger,
                "schema_version": SCHEMA_VERSION,
                "fingerprint": _UNFINISHED,
                "position": 0,
            }
            connection.execute(projection_state.insert(), row)
    # MySQL commits at every statement that defines something: what is ours must be said before there is more of it.
    _commit_where_ddl_does(connection)


def _make_facts(connection: Connection) -> None:
    state = connection.execute(select(projection_state).where(projection_state.c.name == FACTS)).one()
    complete = {table.name for table in fact_tables.sorted_tables} <= _present(connection)
    if complete and (state.schema_version, state.fingerprint) == (SCHEMA_VERSION, fingerprint(fact_tables)):
        return
    if state.position > 0:
        _log.warning("the fact tables have another shape than this release's: they are rebuilt from the log")
    _empty_facts(connection)


def _empty_facts(connection: Connection) -> None:
    connection.execute(
        update(projection_state)
        .where(projection_state.c.name == FACTS, projection_state.c.position > projection_state.c.rebuilt_to)
        .values(rebuilt_to=projection_state.c.position)
    )
    _set_facts(connection, _UNFINISHED)
    _commit_where_ddl_does(connection)
    fact_tables.drop_all(connection)
    fact_tables.create_all(connection)
    _set_facts(connection, fingerprint(fact_tables))


def _set_facts(connection: Connection, mark: str) -> None:
    connection.execute(
        update(projection_state)
        .where(projection_state.c.name == FACTS)
        .values(position=0, schema_version=SCHEMA_VERSION, fingerprint=mark)
    )


def _make_telemetry(connection: Connection) -> None:
    """Telemetry is never dropped: its tables change by new columns, which older rows leave empty, and new indexes."""
    telemetry_tables.create_all(connection)
    for table in telemetry_tables.sorted_tables:
        _add_missing_columns(connection, table)
        present = {index["name"] for index in inspect(connection).get_indexes(table.name)}
        for index in table.indexes:
            if index.name not in present:
                index.create(connection)
    connection.execute(
        update(projection_state)
        .where(projection_state.c.name == TELEMETRY)
        .values(schema_version=SCHEMA_VERSION, fingerprint=fingerprint(telemetry_tables))
    )


def _add_missing_columns(connection: Connection, table: Table) -> None:
    present = {column["name"] for column in inspect(connection).get_columns(table.name)}
    quote = connection.dialect.identifier_preparer.quote
    for column in table.columns:
        if column.name not in present:
            definition = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {quote(table.name)} ADD COLUMN {definition}")


def _commit_where_ddl_does(connection: Connection) -> None:
    """Makes explicit what the next definition would do anyway on databases without transactional DDL."""
    if connection.dialect.name in ("mysql", "mariadb"):
        connection.exec_driver_sql("COMMIT")
