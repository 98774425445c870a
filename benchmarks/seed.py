"""Seeds: an initialised instance filled with up to millions of users and tokens.

The rows are what a deployment of some age holds: most tokens live, some have expired or were
revoked, a few are impersonation or exchanged ones. Everything about a token follows from its
index, its secret too, so that a load generator can ask about any of them without a list. No
events are written: nobody did this.

    python -m benchmarks.seed --database sqlite:////srv/tokensrv.sqlite3 --tokens 1_000_000
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import Connection, Table, create_engine, event, func, insert, select, text

from benchmarks.rows import TOKENS_A_USER, Rows, is_active, kind_of
from tokensrv.clock import SystemClock
from tokensrv.config import Settings, values
from tokensrv.db import Base, Store
from tokensrv.db.store import database_url, engine_options
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.secret import ALPHABET, RANDOM_LENGTH, Kind, checksum
from tokensrv.errors import Forbidden, SchemaMismatch, TokensrvError
from tokensrv.models import Token, User
from tokensrv.services import schema
from tokensrv.services.instance import ADMIN

# A million tokens: on SQLite each transaction writes most pages of the index of digests.
_USERS_A_TRANSACTION: Final = 50_000
_USERS_A_STEP: Final = 2_500
_PATIENCE_SECONDS: Final = 3_600.0
_LETTERS: Final = bytes(ord(ALPHABET[number % len(ALPHABET)]) for number in range(256))
_KINDS: Final = {
    TokenKind.PERSONAL: Kind.PERSONAL,
    TokenKind.IMPERSONATION: Kind.IMPERSONATION,
    TokenKind.EXCHANGED: Kind.EXCHANGED,
}
_USERS: Final = Base.metadata.tables[User.__tablename__]
_TOKENS: Final = Base.metadata.tables[Token.__tablename__]


@dataclass(frozen=True, slots=True)
class Seed:
    """What all secrets of one seeding follow from."""

    name: str = "seed"
    prefix: str = "ts"

    def secret(self, index: int) -> str:
        """Return the secret of the token with this index, from 0; only its digest is stored."""
        source = hashlib.sha512(f"{self.name}:{index}".encode()).digest()
        letters = source[:RANDOM_LENGTH].translate(_LETTERS).decode()
        body = f"{self.prefix}{_KINDS[kind_of(index)].value}_{letters}"
        return body + checksum(body)

    def username(self, number: int) -> str:
        """Return the name of the user with this number, from 0."""
        return f"{self.name}-{number}"

    def active_secrets(self, count: int, *, among: int, choice: int | None = None) -> list[str]:
        """Return the secrets of ``count`` active tokens out of the first ``among``.

        They are the first ones or, with a number for ``choice``, drawn at random, the same ones
        for the same number.
        """
        indexes: Sequence[int] = range(among)
        if choice is not None:
            chosen = min(among, 2 * count)
            indexes = random.Random(choice).sample(indexes, chosen)  # noqa: S311  # a load, no secret
        return [self.secret(index) for index in indexes if is_active(index)][:count]


def fill(store: Store, seed: Seed, tokens: int, tell: Callable[[int], None]) -> None:
    """Add users and tokens until there are so many of this seed, whole users at a time.

    ``tell`` is given the number of tokens that are there, now and then. What was committed before
    an interruption stays, and another call goes on from there. Raises Forbidden when the database
    has users that neither this nor `tokensrv init` made.
    """
    wanted = -(-tokens // TOKENS_A_USER)
    with store.read() as session:
        present = _present(session.connection(), seed)
    for begin in range(present, wanted, _USERS_A_TRANSACTION):
        end = min(wanted, begin + _USERS_A_TRANSACTION)
        with store.write() as session:
            _add_users(session.connection(), store, seed, range(begin, end), wanted, tell)
    if store.settings.sqlite_path is None:
        # Until there are statistics, PostgreSQL's planner takes these tables for empty.
        with store.write() as session:
            session.execute(text("ANALYZE"))


def _add_users(
    connection: Connection,
    store: Store,
    seed: Seed,
    numbers: range,
    wanted: int,
    tell: Callable[[int], None],
) -> None:
    rows = Rows(
        now_ms=store.clock.now_ms(),
        tokens=wanted * TOKENS_A_USER,
        user_offset=_last_id(connection, _USERS) + 1 - numbers.start,
        token_offset=_last_id(connection, _TOKENS) + 1 - numbers.start * TOKENS_A_USER,
    )
    for begin in range(numbers.start, numbers.stop, _USERS_A_STEP):
        part = range(begin, min(numbers.stop, begin + _USERS_A_STEP))
        indexes = range(part.start * TOKENS_A_USER, part.stop * TOKENS_A_USER)
        users = (rows.user(number, seed.username(number)) for number in part)
        _insert(connection, _USERS, Rows.USER_COLUMNS, users)
        tokens = (rows.token(index, seed.secret(index)) for index in indexes)
        _insert(connection, _TOKENS, Rows.TOKEN_COLUMNS, tokens)
        tell(indexes.stop)
    for table in (_USERS, _TOKENS):
        _continue_ids(connection, table)


def _present(connection: Connection, seed: Seed) -> int:
    """Return how many users of this seed there are; raises Forbidden when there are others."""
    total = connection.scalar(select(func.count()).select_from(_USERS)) or 0
    names = _USERS.c.username_key
    # Usernames of a seed are the only ones between these two: "." comes after "-".
    mine = select(func.count()).where(names >= f"{seed.name}-", names < f"{seed.name}.")
    made = connection.scalar(mine) or 0
    admins = connection.scalar(select(func.count()).where(names == ADMIN)) or 0
    if total != made + admins:
        raise Forbidden("This database has users of its own; nothing was changed.")
    return made


def _insert(
    connection: Connection, table: Table, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]
) -> None:
    """Insert rows as they are stored, past the types of the models: they would cost the most."""
    if connection.dialect.name == "sqlite":
        # It names them in the table's order, which is that of the rows.
        compiled = insert(table).values(dict.fromkeys(columns)).compile(dialect=connection.dialect)
        connection.exec_driver_sql(str(compiled), list(rows))
        return
    driver: Any = connection.connection.driver_connection
    quoted = ", ".join(columns)
    with driver.cursor().copy(f'COPY "{table.name}" ({quoted}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row(row)


def _last_id(connection: Connection, table: Table) -> int:
    """Return the largest id that was ever given; ids never come back."""
    if connection.dialect.name == "sqlite":
        known = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return connection.scalar(known, {"name": table.name}) or 0
    # One is lost, and nobody else may be given a smaller one that is not used yet.
    return int(connection.scalar(select(func.nextval(_sequence(table)))) or 0)


def _continue_ids(connection: Connection, table: Table) -> None:
    # SQLite remembers the largest id by itself.
    if connection.dialect.name == "postgresql":
        largest = connection.scalar(select(func.max(table.c.id)))
        connection.execute(select(func.setval(_sequence(table), largest)))


def _sequence(table: Table) -> Any:
    return func.pg_get_serial_sequence(f'"{table.name}"', "id")


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """Give the Store of a database with the current schema, for large transactions.

    Nothing is written through to the disk meanwhile: a machine that loses its power leaves a
    database that must be made anew. Raises SchemaMismatch, StorageUnavailable.
    """
    settings = Settings(database_url=url, storage_timeout_seconds=_PATIENCE_SECONDS)
    engine = create_engine(database_url(settings), **engine_options(settings))
    store = Store(engine, SystemClock(), settings)
    if settings.sqlite_path is not None:
        event.listen(engine, "connect", _hasten)
    try:
        if advice := schema.ADVICE.get(schema.state(store)):
            raise SchemaMismatch(advice)
        yield store
    finally:
        store.close()


def _hasten(connection: Any, _record: Any) -> None:
    for pragma in ("synchronous=OFF", "cache_size=-2000000"):
        connection.execute(f"PRAGMA {pragma}").close()


def _url(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        return values.database_url(value)
    except ValueError as error:
        raise click.BadParameter(f"it {error}.") from None


def _name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]{1,32}", value):
        raise click.BadParameter("it must be 1 to 32 of a-z and 0-9.")
    return value


@click.command()
@click.option("--database", required=True, callback=_url, help="sqlite:///... or postgresql://...")
@click.option("--tokens", type=click.IntRange(min=1), default=1_000_000, show_default=True)
@click.option("--seed", default=Seed().name, show_default=True, callback=_name)
def command(database: str, tokens: int, seed: str) -> None:
    """Fill an instance that `tokensrv init` made, a user for each 20 tokens."""
    columns = (TextColumn("tokens"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with opened(database) as store, Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("tokens", total=tokens)
            fill(store, Seed(seed), tokens, lambda done: bar.update(task, completed=done))
            bar.update(task, completed=tokens)
    except TokensrvError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    command()
