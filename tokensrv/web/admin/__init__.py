"""Administration: users, tokens, clients, rules for repositories, and what happened."""

from __future__ import annotations

from tokensrv.web.admin import (
    acting,
    clients,
    events,
    explain,
    overview,
    repositories,
    tokens,
    users,
)

PAGES = (
    overview.bp,
    *users.PAGES,
    *tokens.PAGES,
    *clients.PAGES,
    repositories.bp,
    events.bp,
    explain.bp,
    acting.bp,
)
