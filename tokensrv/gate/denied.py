"""Denied: the sentence that people read when a credential opens nothing.

GitLab's words, the same for Git and for registries: scripts look for them.
"""

from __future__ import annotations

from typing import Final

from tokensrv.config import Settings

_TEXT: Final = (
    "HTTP Basic: Access denied. If a password was provided for Git authentication, the password was"
    " incorrect or you're required to use a token instead of a password. If a token was provided,"
    " it was either incorrect, expired, or improperly scoped. See {}"
)
_TOKENS_PAGE: Final = "/-/user_settings/personal_access_tokens"


def text(settings: Settings) -> str:
    """Return the sentence, with the page where tokens are made."""
    return _TEXT.format(settings.external_url + _TOKENS_PAGE)
