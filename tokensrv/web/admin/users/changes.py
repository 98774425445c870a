"""Changes of a user that one button each makes: his state, his role, what he signs in with.

They are a table: what each is called, what it asks and says, and the verb that does it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue
from flask.views import MethodView

from tokensrv.db import Store
from tokensrv.http.context import origin, store
from tokensrv.services.account import endings, second_factors
from tokensrv.services.directory import user_states, users
from tokensrv.services.trail.events import Origin
from tokensrv.web import cookies
from tokensrv.web.admin.users.questions import ask

bp = Blueprint("user_changes", __name__, url_prefix="/admin/users/<id:user_id>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A button: its word, what follows, what is said afterwards."""

    verb: str
    question: str
    consequence: str
    done: str
    run: Callable[[Store, Origin, int], bool]
    is_bad: bool = False


CHANGES: Final[dict[str, Change]] = {
    "end_sessions": Change(
        verb="End all sessions",
        question="End all sessions of {name}?",
        consequence="Every browser of this user is signed out at once. Tokens go on working.",
        done="All sessions of {name} have ended.",
        run=endings.end_every,
        is_bad=True,
    ),
    "reset_two_factor": Change(
        verb="Reset two-factor authentication",
        question="Reset the two-factor authentication of {name}?",
        consequence=(
            "Authenticator app, passkeys and recovery codes are removed: the password alone is"
            " enough to sign in. Be sure that it was really this user who asked for it."
        ),
        done="{name} has no second factor any more.",
        run=second_factors.remove_all,
        is_bad=True,
    ),
    "promote": Change(
        verb="Promote",
        question="Make {name} an administrator?",
        consequence="Administrators can do everything to every user and every token.",
        done="{name} is an administrator now.",
        run=user_states.promote,
    ),
    "demote": Change(
        verb="Demote",
        question="Take the administration away from {name}?",
        consequence="This user stays, and tokens with sudo or introspect lose that power at once.",
        done="{name} is no administrator any more.",
        run=user_states.demote,
        is_bad=True,
    ),
    "activate": Change(
        verb="Activate",
        question="Activate {name}?",
        consequence="This user can sign in again, and all tokens that are not over work again.",
        done="{name} is active.",
        run=user_states.activate,
    ),
    "unblock": Change(
        verb="Unblock",
        question="Unblock {name}?",
        consequence="This user can sign in again, and all tokens that are not over work again.",
        done="{name} is active.",
        run=user_states.unblock,
    ),
    "unban": Change(
        verb="Unban",
        question="Unban {name}?",
        consequence="This user can sign in again, and all tokens that are not over work again.",
        done="{name} is active.",
        run=user_states.unban,
    ),
    "deactivate": Change(
        verb="Deactivate",
        question="Deactivate {name}?",
        consequence="For accounts that rest: tokens stop working and sessions end, until this user"
        " signs in again or is activated.",
        done="{name} is deactivated.",
        run=user_states.deactivate,
        is_bad=True,
    ),
    "block": Change(
        verb="Block",
        question="Block {name}?",
        consequence="Every token and SSH key stops working and every session ends at once, until"
        " this user is unblocked. Nothing is deleted.",
        done="{name} is blocked.",
        run=user_states.block,
        is_bad=True,
    ),
    "ban": Change(
        verb="Ban",
        question="Ban {name}?",
        consequence="Like blocking, for abuse: only unbanning lets this user back in.",
        done="{name} is banned.",
        run=user_states.ban,
        is_bad=True,
    ),
}


class _ChangePage(MethodView):
    """The page of one change: asks, and does it."""

    init_every_request = False

    def __init__(self, change: Change) -> None:
        self._change = change

    def get(self, user_id: int) -> ResponseReturnValue:
        """Ask whether it is wanted."""
        change = self._change
        return ask(
            users.get(store(), user_id),
            question=change.question,
            verb=change.verb,
            consequence=(change.consequence,),
            is_bad=change.is_bad,
        )

    def post(self, user_id: int) -> ResponseReturnValue:
        """Do it; what a verb refuses is a page of its own."""
        user = users.get(store(), user_id)
        self._change.run(store(), origin(), user_id)
        cookies.leave_notice(self._change.done.format(name=user.username))
        return redirect(url_for("web.user.show", user_id=user_id), 303)


for _name, _change in CHANGES.items():
    bp.add_url_rule(f"/{_name}", view_func=_ChangePage.as_view(_name, _change))
