"""The database of the read models: opening it, and transactions on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

# A URL that names no driver gets the one that is installed with the service.
_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "sqlite": "sqlite+pysqlite",
}
_SQLITE_BUSY_SECONDS = 30
# After which a connection is given up whose other end is gone without a word: by driver, as its own options.
_LIBPQ = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_LOST_AFTER: dict[str, dict[str, int]] = {
    "psycopg": _LIBPQ,
    "psycopg2": _LIBPQ,
    "pymysql": {"connect_timeout": 5},
}
_READING_LOST_AFTER: dict[str, dict[str, int]] = {"pymysql": {"read_timeout": 60, "write_timeout": 60}}


class DatabaseRefused(Exception):
    """The database that the settings name cannot be used; the text is one sentence for the user, without passwords."""


class DatabaseUnavailable(DatabaseRefused):
    """The database does not answer, which may pass."""


def lacks_tables(error: BaseException | None) -> bool:
    """Whether a database that was asked answered that a table is not there."""
    reason = error.orig if isinstance(error, DBAPIError) else None
    return (
        getattr(reason, "sqlstate", None) == "42P01"  # of PostgreSQL
        or getattr(reason, "args", ())[:1] == (1146,)  # of MySQL
        or "no such table" in str(reason)
    )


class Database:
    """Where the read models live. Synchronous: call it in threads.

    Reads and writes use connections of their own. Only the projector writes.
    """

    def __init__(self, url: URL, reader: Engine, writer: Engine) -> None:
        self.name = url.render_as_string(hide_password=True)
        self.reader = reader
        self.writer = writer

    @property
    def dialect(self) -> str:
        """`sqlite`, `postgresql`, `mysql` or `mariadb`."""
        return self.writer.dialect.name

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only transaction in which every query sees the same state."""
        with self.reader.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed at the end and rolled back on any error."""
        with self.writer.begin() as connection:
            yield connection

    def close(self) -> None:
        self.reader.dispose()
        self.writer.dispose()


def open_database(url: str, *, readers: int = 16) -> Database:
    """Opens what `TRAINING_DB_URL` names; connects only when it is used.

    `readers` bounds the connections that reads hold at once. Raises DatabaseRefused.
    """
    parsed = _parse(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            return _open_sqlite(parsed, readers)
        return _open_server(parsed, readers)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise DatabaseRefused(
            f"TRAINING_DB_URL cannot be used: no driver for {parsed.drivername} is installed"
        ) from error


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The text may hold a password, and so may the original message.
        raise DatabaseRefused(
            "TRAINING_DB_URL is not a database URL such as sqlite:///./training.db or postgresql://user@host/name"
        ) from None
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    if parsed.get_backend_name() in ("mysql", "mariadb"):
        parsed = parsed.update_query_dict({"charset": "utf8mb4"})
    return parsed


def _open_sqlite(url: URL, readers: int) -> Database:
    path = url.database
    if path is None or path in ("", ":memory:") or "mode=memory" in path:
        raise DatabaseRefused("TRAINING_DB_URL names a database in memory, which processes cannot share")
    if not path.startswith("file:") and not Path(path).absolute().parent.is_dir():
        raise DatabaseRefused(f"TRAINING_DB_URL names a file in a directory that does not exist: {path}")
    # Transactions are begun here by hand: the driver's own way begins none for reads, so they would see no snapshot.
    options: dict[str, Any] = {"connect_args": {"isolation_level": None, "timeout": _SQLITE_BUSY_SECONDS}}
    reader = _require_synchronous(create_engine(url, pool_size=readers, max_overflow=0, **options))
    writer = create_engine(url, pool_size=1, max_overflow=1, **options)

    @event.listens_for(reader, "connect")
    def _prepare_reader(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA query_only=ON")

    @event.listens_for(writer, "connect")
    def _prepare_writer(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        # A power loss may take the last commits but never corrupts; they are folded again from the log.
        connection.execute("PRAGMA synchronous=NORMAL")
        # Keys are scattered over their indexes: a rebuild is twice as fast where their pages stay in memory (32 MB),
        # and where a page that changes often is copied into the file less often than every 1,000 pages.
        connection.execute("PRAGMA cache_size=-32000")
        connection.execute("PRAGMA wal_autocheckpoint=8000")
        # What a statement may have to undo, beyond 16 pages, goes to a file otherwise, made and removed each time.
        connection.execute("PRAGMA temp_store=MEMORY")

    @event.listens_for(reader, "begin")
    def _begin_reading(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    @event.listens_for(writer, "begin")
    def _begin_writing(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return Database(url, reader, writer)


def _open_server(url: URL, readers: int) -> Database:
    driver = url.get_driver_name()
    bounds = {name: seconds for name, seconds in _LOST_AFTER.get(driver, {}).items() if name not in url.query}
    options: dict[str, Any] = {"pool_pre_ping": True}
    reader = _require_synchronous(
        create_engine(
            url,
            pool_size=readers,
            max_overflow=0,
            isolation_level="REPEATABLE READ",
            connect_args=bounds | _READING_LOST_AFTER.get(driver, {}),
            **options,
        )
    )
    writer = create_engine(
        url, pool_size=1, max_overflow=1, isolation_level="READ COMMITTED", connect_args=bounds, **options
    )
    return Database(url, reader, writer)


def _require_synchronous(engine: Engine) -> Engine:
    if engine.dialect.is_async:
        raise DatabaseRefused(
            f"TRAINING_DB_URL names the asynchronous driver {engine.driver}: write {engine.dialect.name}://… instead"
        )
    return engine
