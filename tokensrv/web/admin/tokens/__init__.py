"""Tokens of all users: found, looked at, revoked one by one or many at once."""

from __future__ import annotations

from tokensrv.web.admin.tokens import export, listing, revocation, selection, token

PAGES = (listing.bp, export.bp, selection.bp, token.bp, revocation.bp)
