"""Steps: where somebody goes on after one of them, and what he is told when it was refused."""

from __future__ import annotations

from typing import Any, Final

from flask import Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from tokensrv.services.account.proof import Denied, Reason
from tokensrv.services.account.sessions import NewSession, Stage
from tokensrv.web import cookies
from tokensrv.web.forms import WHOLE, Form
from tokensrv.web.rendering import page

_SENTENCES: Final = {
    Reason.WRONG: "Invalid login or password.",
    Reason.INACTIVE: "Your account has been blocked. Please contact your administrator.",
    Reason.SECOND_FACTOR: "Prove your second factor first.",
}
_NEXT: Final = {
    Stage.SECOND_FACTOR: "web.verify.show",
    Stage.PASSWORD: "web.new_password.show",
}
# Beyond it people count in hours.
_MANY_MINUTES: Final = 90


def go_on(new: NewSession) -> ResponseReturnValue:
    """Have the browser keep its new session, and lead to what that asks for next."""
    cookies.keep_session(new)
    step = _NEXT.get(new.record.stage)
    return redirect(url_for(step, next=request.args.get("next")) if step else wanted(), 303)


def wanted() -> str:
    """Return the address that somebody wanted to open, the start if it is none of ours."""
    address = request.args.get("next", "")
    # A browser takes a backslash for a slash and leaves out control characters, so that each of
    # them could lead to another host.
    is_ours = address.startswith("/") and address.isprintable() and "\\" not in address
    return address if is_ours and not address.startswith("//") else url_for("web.home.show")


def refuse(
    template: str, form: Form, denied: Denied, *, field: str = WHOLE, **values: Any
) -> Response:
    """Return the page again, with what was refused: above the form, or beside this field."""
    is_wrong = denied.reason is Reason.WRONG
    if is_wrong and field != WHOLE:
        form.refuse(field, "This is not right.")
    else:
        form.refuse(WHOLE, _SENTENCES.get(denied.reason) or _later(denied.retry_after_seconds))
    if denied.reason is not Reason.TOO_MANY:
        return page(template, 422, form=form, **values)
    answer = page(template, 429, form=form, **values)
    answer.headers["Retry-After"] = str(denied.retry_after_seconds)
    return answer


def _later(seconds: int) -> str:
    minutes = -(-seconds // 60)
    count, unit = (minutes, "minute") if minutes <= _MANY_MINUTES else (-(-minutes // 60), "hour")
    return f"Too many attempts. Try again in {count} {unit}{'' if count == 1 else 's'}."
