"""Settings: what a user sees and changes of his own account."""

from __future__ import annotations

from tokensrv.web.settings import (
    account,
    acted,
    feed,
    new_token,
    ssh_keys,
    token_changes,
    tokens,
)

PAGES = (
    tokens.bp,
    new_token.bp,
    token_changes.bp,
    feed.bp,
    ssh_keys.bp,
    *account.PAGES,
    acted.bp,
)
