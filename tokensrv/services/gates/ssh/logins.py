"""Logins: with which token a connection over SSH began.

sshd knows that somebody was let in, and nothing of tokens. What it runs for him later asks here,
by a digest of what names the connection on its machine. A login is good for a day.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import delete, select

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.models import SshLogin, Token

LIFETIME: Final = timedelta(days=1)
_SWEPT_AT_A_TIME: Final = 20


def remember(store: Store, connection: bytes, token_id: int) -> None:
    """Record that a token opened a connection; raises StorageUnavailable.

    The last one counts: whoever is asked twice has been let in by the second.
    """
    now = utcnow(store.clock)
    login = SshLogin(connection=connection, token_id=token_id, created_at=now)
    old = (
        select(SshLogin.connection)
        .where(SshLogin.created_at <= now - LIFETIME)
        .order_by(SshLogin.created_at)
        .limit(_SWEPT_AT_A_TIME)
        .with_for_update(skip_locked=True)
    )
    with store.write() as session:
        session.merge(login)
        session.flush()
        # Found first: within the deletion, PostgreSQL may find as many anew for each row.
        if found := session.scalars(old).all():
            session.execute(delete(SshLogin).where(SshLogin.connection.in_(found)))


def find_digest(store: Store, connection: bytes) -> bytes | None:
    """Return the digest of the token that opened a connection, None where none has.

    Whether it is still good is for the lookup to say. Raises StorageUnavailable.
    """
    query = (
        select(Token.digest)
        .join(SshLogin, SshLogin.token_id == Token.id)
        .where(
            SshLogin.connection == connection,
            SshLogin.created_at > utcnow(store.clock) - LIFETIME,
        )
    )
    with store.read() as session:
        return session.scalars(query).one_or_none()
