"""Clients: the services that may ask about tokens; made, changed, switched, deleted."""

from __future__ import annotations

from tokensrv.web.admin.clients import changes, client, edit, listing, new, secret

PAGES = (listing.bp, new.bp, client.bp, edit.bp, secret.bp, changes.bp)
