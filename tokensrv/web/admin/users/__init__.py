"""Users: found, made, changed, and what belongs to one of them."""

from __future__ import annotations

from tokensrv.web.admin.users import (
    changes,
    deletion,
    edit,
    impersonation_tokens,
    listing,
    new,
    reset_link,
    ssh_keys,
    user,
)

PAGES = (
    listing.bp,
    new.bp,
    user.bp,
    edit.bp,
    changes.bp,
    deletion.bp,
    reset_link.bp,
    impersonation_tokens.bp,
    ssh_keys.bp,
)
