"""Administration: users, tokens, clients, and what happened."""

from __future__ import annotations

from tokensrv.web.admin import acting, clients, events, explain, overview, tokens, users

PAGES = (overview.bp, *users.PAGES, *tokens.PAGES, *clients.PAGES, events.bp, explain.bp, acting.bp)
