"""Repositories: which of them whom the rules allow, beside what his token says."""

from __future__ import annotations

from sqlalchemy import exists, select

from tokensrv.db import Store
from tokensrv.domain.repositories import Access, above
from tokensrv.models import RepositoryRule


def allows(store: Store, user_id: int, repository: str, *, writes: bool) -> bool:
    """Return whether the rules let a user read, or write, the repository of this path.

    As they are now; without any rule everybody may. Raises StorageUnavailable.
    """
    enough = (Access.WRITE,) if writes else (Access.READ, Access.WRITE)
    his = exists().where(
        RepositoryRule.user_id == user_id,
        RepositoryRule.prefix.in_(above(repository)),
        RepositoryRule.access.in_(enough),
    )
    with store.read() as session:
        has_rules, is_his = session.execute(select(exists(select(RepositoryRule.id)), his)).one()
    return bool(is_his) or not has_rules
