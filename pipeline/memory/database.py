"""The one database of a machine: its tables, and transactions that are whole or did not happen.

Everything a run knows is in here (`docs/state.md`). SQLite in WAL mode; the statements are kept to what
PostgreSQL says as well.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    create_engine,
    event,
    exc,
)
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from pipeline.errors import InfrastructureError, UsageError
from pipeline.memory.changed import Changed
from pipeline.memory.doorbell import Doorbell

BUSY_MILLISECONDS = 30_000


class UtcTime(TypeDecorator[datetime]):
    """A point in time, aware and in UTC on our side, whatever the database can store."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its signature
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its signature
        return None if value is None else value.replace(tzinfo=UTC)


METADATA = MetaData()
EVENT = Table(
    "event",
    METADATA,
    Column("run", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("kind", Text, nullable=False),
    Column("fields", JSON, nullable=False),
)
CALL = Table(
    "call",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("run", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("item", Text),
    Column("attempt", Integer, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("try", Integer, nullable=False),
    Column("vendor", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("input_bound", BigInteger, nullable=False),
    Column("max_output_tokens", BigInteger, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("reserved_micro_usd", BigInteger),
    Column("settled", BigInteger),
    Column("settled_micro_usd", BigInteger),
    Column("reply", Text),
    Column("usage", JSON(none_as_null=True)),
    Column("price", JSON(none_as_null=True)),
    Column("cost", Text),
    Column("state", Text, nullable=False),
    Column("overrun", Boolean, nullable=False, default=False),
    Column("error", Text),
    Column("lease", UtcTime, nullable=False),
    Column("started", UtcTime, nullable=False),
    Column("ended", UtcTime),
)
Index("call_run_state", CALL.c.run, CALL.c.state)
BUDGET = Table(
    "budget",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("unit", Text, nullable=False),
    Column("cap", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False, default=0),
    Column("spent", BigInteger, nullable=False, default=0),
    Column("opened", Text),
    Column("warned", Boolean, nullable=False, default=False),
)
PACE = Table(
    "pace",
    METADATA,
    Column("vendor", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Column("fields", JSON, nullable=False),
)
BLOB = Table(
    "blob",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)


class Store:
    """An open database. Close it when the command ends."""

    def __init__(self, engine: Engine, bell: Doorbell) -> None:
        self.engine = engine
        self.changed = Changed(bell)
        self._bell = bell
        self._after_commit: dict[Connection, list[Callable[[], None]]] = {}

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Write: one transaction, the only writer while it lasts, rolled back when an exception leaves it.

        :raises InfrastructureError: the database cannot be read or written.
        """
        done: list[Callable[[], None]] = []
        with self._transaction("IMMEDIATE") as connection:
            self._after_commit[connection] = done
            try:
                yield connection
            finally:
                del self._after_commit[connection]
        for callback in done:
            callback()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Read a consistent view, without keeping a writer waiting.

        :raises InfrastructureError: the database cannot be read.
        """
        with self._transaction("DEFERRED") as connection:
            yield connection

    def after_commit(self, connection: Connection, callback: Callable[[], None]) -> None:
        """Call back once the transaction of `begin` is committed; never when it is rolled back."""
        self._after_commit[connection].append(callback)

    def close(self) -> None:
        """Close every connection."""
        self._bell.close()
        self.engine.dispose()

    @contextmanager
    def _transaction(self, mode: str) -> Iterator[Connection]:
        try:
            with self.engine.connect().execution_options(begin_mode=mode) as connection, connection.begin():
                yield connection
        except exc.DBAPIError as error:
            raise InfrastructureError(
                f"the state database {self.engine.url.database} failed: {error.orig}; "
                "free the disk or the file and resume the run"
            ) from error


def open_store(url: str) -> Store:
    """Open (and create) the database of an SQLAlchemy URL: file mode 0600, a folder made for it 0700.

    :raises UsageError: not an SQLite file.
    :raises InfrastructureError: it cannot be created or read.
    """
    location = make_url(url)
    if location.get_backend_name() != "sqlite" or location.database in {None, "", ":memory:"}:
        shown = location.render_as_string(hide_password=True)
        raise UsageError(f"cannot keep state in {shown}: it has to be sqlite:///FILE (PostgreSQL is not built yet)")
    path = Path(str(location.database))
    engine = create_engine(location, hide_parameters=True)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    store = Store(engine, Doorbell(path.parent / "bells"))
    try:
        with _only_opener(path):
            _create_private(path)
            with store.begin() as connection:
                METADATA.create_all(connection)
    except OSError as error:
        raise InfrastructureError(f"cannot create the state database {path}: {error}; try --state-dir") from error
    return store


def insert_once(table: Table, values: Mapping[str, Any]) -> Insert:
    """Return an insert that leaves a row alone that is already there."""
    return insert(table).values(values).on_conflict_do_nothing()


@contextmanager
def _only_opener(path: Path) -> Iterator[None]:
    """Let one process at a time switch a new file to WAL: SQLite does not wait for that lock itself."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _create_private(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)


def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # The driver must not open transactions by itself: ours start with the mode we choose.
    connection.isolation_level = None
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('begin_mode', 'IMMEDIATE')}")
