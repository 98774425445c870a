from __future__ import annotations

import pytest

from tokensrv.domain.caller import Caller
from tokensrv.domain.facts import TokenFacts, UserFacts
from tokensrv.domain.scopes import available
from tokensrv.http.answers import ApiError
from tokensrv.http.permissions import PERMISSIONS, PUBLIC, Admin, refusal, role_refusal

ADMIN = UserFacts(1, "root", "active", is_admin=True)
ALICE = UserFacts(2, "alice", "active", is_admin=False)
TOKEN = TokenFacts(7, "personal", 2, (), (), 0, None, is_revoked=False)

READS_OF_USERS = {
    "self_token.show", "self_token.associations", "impersonation_tokens.list_tokens",
    "impersonation_tokens.get", "users.current_user", "users.list_users", "users.get_user",
    "ssh_keys.list_own", "ssh_keys.get_own", "ssh_keys.list_of_user", "ssh_keys.get_of_user",
    "about.version", "about.metadata",
}  # fmt: skip
READS = READS_OF_USERS | {
    "tokens.list_tokens", "tokens.get_token", "clients.list_clients", "clients.get_client",
    "explanation.explain", "events.list_events", "metrics.show", "repository_rules.list_rules",
}  # fmt: skip
SELF = {name for name in PERMISSIONS if name.startswith("self_token.")}
EVERY_SCOPE = SELF - {"self_token.rotate"}
MINTING = {
    "clients.enable_client",
    "tokens.change_token", "tokens.rotate_token", "self_token.revoke", "self_token.rotate",
    "user_tokens.create_for_user", "user_tokens.create_for_self", "impersonation_tokens.create",
    "users.create_user", "clients.create_client", "clients.change_client",
    "clients.update_client", "clients.rotate_secret", "ssh_keys.add_own", "ssh_keys.add_for_user",
    "repository_rules.add_rule", "repository_rules.remove_rule",
}  # fmt: skip


def caller(*scopes: str, user: UserFacts = ADMIN, audience: tuple[str, ...] = ()) -> Caller:
    return Caller(user, user, TOKEN._replace(scopes=scopes, audience=audience), scopes)


def sudo_caller(subject: UserFacts = ALICE) -> Caller:
    token = TOKEN._replace(scopes=("api", "sudo"))
    return Caller(ADMIN, subject, token, ("api",), is_sudo=True)


def refused(endpoint: str, who: Caller, *parameters: str) -> ApiError | None:
    return refusal(
        PERMISSIONS[endpoint], who, parameters=parameters, available=available(("deploy",))
    )


def opened_by(who: Caller) -> set[str]:
    return {endpoint for endpoint in PERMISSIONS if refused(endpoint, who) is None}


def test_no_route_is_public_and_guarded() -> None:
    assert PUBLIC.isdisjoint(PERMISSIONS)


@pytest.mark.parametrize(
    ("scope", "opens"),
    [
        pytest.param("api", set(PERMISSIONS), id="api opens everything"),
        pytest.param("read_api", READS | EVERY_SCOPE, id="read_api opens every read"),
        pytest.param("read_user", READS_OF_USERS | EVERY_SCOPE, id="read_user opens users"),
        pytest.param("self_rotate", SELF, id="self_rotate opens rotation"),
        pytest.param("sudo", EVERY_SCOPE, id="sudo alone opens itself"),
        pytest.param("introspect", EVERY_SCOPE, id="introspect"),
        pytest.param("write_repository", EVERY_SCOPE, id="write_repository"),
        pytest.param("deploy", EVERY_SCOPE, id="a scope of the deployment"),
        pytest.param("gone", set(), id="a scope that nobody knows any more"),
    ],
)
def test_a_scope_opens_exactly_its_routes(scope: str, opens: set[str]) -> None:
    assert opened_by(caller(scope)) == opens


def test_no_scope_opens_nothing() -> None:
    assert opened_by(caller()) == set()


def test_scopes_add_up() -> None:
    both = opened_by(caller("read_user", "self_rotate"))
    assert both == opened_by(caller("read_user")) | opened_by(caller("self_rotate"))


@pytest.mark.parametrize(
    ("endpoint", "scopes"),
    [
        ("tokens.list_tokens", "api read_api"),
        ("tokens.revoke_token", "api read_api"),
        ("users.current_user", "read_user api read_api"),
        ("users.block", "read_user api read_api"),
        ("self_token.rotate", "api self_rotate api read_api"),
    ],
)
def test_the_refusal_names_gitlabs_scopes(endpoint: str, scopes: str) -> None:
    answer = refused(endpoint, caller("read_registry"))
    assert answer is not None
    assert (answer.status, answer.body["scope"]) == (403, scopes)
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert f'scope="{scopes}"' in answer.headers["WWW-Authenticate"]


def test_who_is_no_admin_is_told_before_validation_or_after_it() -> None:
    alice = caller("api", user=ALICE)
    before = {name for name, row in PERMISSIONS.items() if row.admin is Admin.BEFORE_VALIDATION}
    after = {name for name, row in PERMISSIONS.items() if row.admin is Admin.AFTER_VALIDATION}
    assert opened_by(alice) == set(PERMISSIONS) - before
    for endpoint in before | after:
        answer = role_refusal(PERMISSIONS[endpoint], alice)
        assert answer is not None
        assert (answer.status, answer.body) == (403, {"message": "403 Forbidden"})


def test_an_admin_has_every_role() -> None:
    assert not any(role_refusal(row, caller("api")) for row in PERMISSIONS.values())


def test_a_missing_scope_is_told_before_a_missing_role() -> None:
    answer = refused("user_tokens.create_for_user", caller("read_api", user=ALICE))
    assert answer is not None
    assert answer.body["error"] == "insufficient_scope"


def test_a_token_for_other_services_opens_only_what_is_about_itself() -> None:
    assert opened_by(caller("api", audience=("some-client",))) == SELF


def test_under_sudo_nothing_that_lasts_can_be_made() -> None:
    assert opened_by(sudo_caller(ADMIN._replace(id=3))) == set(PERMISSIONS) - MINTING


@pytest.mark.parametrize("endpoint", sorted(MINTING))
def test_that_is_told_before_role_and_scope(endpoint: str) -> None:
    answer = refused(endpoint, sudo_caller()._replace(scopes=()))
    assert answer is not None
    text = "403 Forbidden - Not allowed while using sudo"
    assert (answer.status, answer.body) == (403, {"message": text})


@pytest.mark.parametrize("lasting", ["password", "admin"])
def test_under_sudo_a_user_may_be_changed_but_gets_no_lasting_power(lasting: str) -> None:
    as_admin = sudo_caller(ADMIN._replace(id=3))
    assert refused("users.change_user", as_admin, "name") is None
    answer = refused("users.change_user", as_admin, "name", lasting)
    assert answer is not None
    assert answer.body == {"message": "403 Forbidden - Not allowed while using sudo"}


def test_under_sudo_the_subjects_role_counts() -> None:
    assert refused("admin_token.identify", sudo_caller()) is not None
    assert role_refusal(PERMISSIONS["users.block"], sudo_caller()) is not None


def test_under_sudo_the_presented_token_opens_what_is_about_itself() -> None:
    # Its scopes leave nothing for the subject, yet it may look at itself.
    bare = sudo_caller()._replace(token=TOKEN._replace(scopes=("sudo", "introspect")), scopes=())
    assert opened_by(bare) == {"self_token.show", "self_token.associations"}
