"""One's own account: password, second factors, sessions."""

from __future__ import annotations

from tokensrv.web.settings.account import (
    authenticator,
    overview,
    passkeys,
    password,
    recovery_codes,
    sessions,
)

PAGES = (
    overview.bp,
    password.bp,
    authenticator.bp,
    passkeys.bp,
    recovery_codes.bp,
    sessions.bp,
)
