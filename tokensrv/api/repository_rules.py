"""Rules for repositories: who may read or write which, as admins make and remove them."""

from __future__ import annotations

from typing import Any

from tokensrv.api.blueprint import Blueprint
from tokensrv.api.pagination import check_offset, headers
from tokensrv.api.schemas.repository_rules import AddRule, ListRules, RuleObject
from tokensrv.errors import NotFound
from tokensrv.http.context import origin, store
from tokensrv.services import repositories
from tokensrv.services.directory import users
from tokensrv.services.pages import PageRequest
from tokensrv.services.repositories import RuleRecord

bp = Blueprint("repository_rules", __name__, url_prefix="/api/v4/tokensrv/rules")


@bp.verb("GET", "", takes=ListRules, gives=RuleObject(many=True), fails={405})
def list_rules(wanted: PageRequest) -> Any:
    """List the rules for repositories, the oldest first. Admins only."""
    check_offset(wanted, "Rule")
    page = repositories.list_page(store(), wanted)
    return page.items, headers(page)


@bp.verb("POST", "", takes=AddRule, gives=RuleObject, status=201, fails={404})
def add_rule(wanted: dict[str, str]) -> RuleRecord:
    """Let a user read, or read and write, every repository below a prefix. Admins only.

    A second rule for the same prefix and user replaces the access of the first. The first rule of
    all closes to everybody what no rule allows.
    """
    user = users.find(store(), wanted["user"])
    if user is None:
        raise NotFound("User")
    return repositories.add(
        store(), origin(), prefix=wanted["prefix"], user_id=user.id, access=wanted["access"]
    )


@bp.verb("DELETE", "/<id:rule_id>", status=204, fails={404})
def remove_rule(rule_id: int) -> None:
    """Remove a rule; without any rule everybody may use every repository again. Admins only."""
    repositories.remove(store(), origin(), rule_id)
