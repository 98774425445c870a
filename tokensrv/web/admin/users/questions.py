"""Questions: what is asked before something is done to a user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, url_for

from tokensrv.services.records import UserRecord
from tokensrv.web.rendering import page


def ask(
    user: UserRecord,
    status: int = 200,
    *,
    question: str,
    verb: str,
    consequence: Sequence[str],
    back: str | None = None,
    more_facts: Sequence[tuple[str, str]] = (),
    template: str = "confirm.html",
    **more: Any,
) -> Response:
    """Return the page that asks; in ``question`` stands ``{name}`` for the username."""
    return page(
        template,
        status,
        layout="admin/layout.html",
        question=question.format(name=user.username),
        verb=verb,
        facts=(
            ("Username", user.username),
            ("Name", user.name),
            ("Email", user.email),
            *more_facts,
        ),
        consequence=consequence,
        back=back or url_for("web.user.show", user_id=user.id),
        **more,
    )
