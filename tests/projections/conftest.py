"""An empty database of each kind: the whole suite of the read models runs on every one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from projections.database import Database, open_database
from projections.ownership import prepare
from tests.projections.servers import DatabaseServer, MariadbServer, Missing, PostgresServer

LEDGER = "2f0b8a52-8a35-4a55-93f0-5d0b8f6f0c11"


def _start(kind: type[DatabaseServer]) -> Iterator[DatabaseServer]:
    # not in pytest's directory, which is closed to the user that the server runs as
    with tempfile.TemporaryDirectory(prefix="trainledger-test-") as directory:
        try:
            server = kind(Path(directory))
        except Missing as missing:
            if os.environ.get("TRAINLEDGER_REQUIRE_ALL") == "1":
                raise
            pytest.skip(f"{missing}; the suite runs on this database where it is")
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[DatabaseServer]:
    yield from _start(PostgresServer)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[DatabaseServer]:
    yield from _start(MariadbServer)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    match request.param:
        case "sqlite":
            return f"sqlite:///{tmp_path / 'training.db'}"
        case "postgresql":
            server: DatabaseServer = request.getfixturevalue("postgres")
        case _:
            server = request.getfixturevalue("mariadb")
    return server.database()


@pytest.fixture
def empty_database(database_url: str) -> Iterator[Database]:
    database = open_database(database_url)
    yield database
    database.close()


@pytest.fixture
def database(empty_database: Database) -> Database:
    """A prepared database at position 0."""
    prepare(empty_database, LEDGER)
    return empty_database
