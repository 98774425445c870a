"""Lives: what is made, changed and ended again and again while everybody asks about it.

Each of them takes every kind of power away that it has, most of them twice at once, gives back
what can be given back, and begins anew with new things.
"""

from __future__ import annotations

from typing import Any

from tests.live.history.calls import Request, api, oauth
from tests.live.history.powers import Client, Token, User
from tests.live.history.questions import As, Introspect, IntrospectAs, Question, Self
from tests.live.history.workload import Driver

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

ADMIN, PLAIN = {"admin": True}, {"admin": False}


def of_a_token(driver: Driver) -> None:
    """Cut a token's scopes and its audience, rotate it, revoke its successor."""
    narrow, first = new_client(driver), driver.stage.client
    scopes = ("read_user", "read_registry")
    token = new_token(driver, new_user(driver), scopes, (first, narrow))
    driver.show(*_about(token, first, narrow))
    cut = {"scopes": ["read_user"]}
    narrowed = {"audience": [first.id]}
    changes = [(cut, token.holds("read_registry")), (narrowed, token.is_for(narrow))]
    path = f"/personal_access_tokens/{token.id}"
    for fields, power in driver.stage.chance.sample(changes, len(changes)):
        driver.do_twice(as_root(driver, "PATCH", path, fields), taken=[power])
    rotate = as_root(driver, "POST", f"{path}/rotate")
    made = driver.do(rotate, taken=[token.is_alive]).document
    heir = Token(made["id"], made["token"], token.owner, ("read_user",), (first,))
    driver.show(*_about(heir, first))
    ends = [
        as_root(driver, "DELETE", f"/personal_access_tokens/{heir.id}"),
        api("DELETE", "/personal_access_tokens/self", heir.secret),
        oauth("revoke", first, token=heir.secret),
    ]
    # Whoever comes second by the token itself is not let in any more.
    driver.do_twice(driver.stage.chance.choice(ends), taken=[heir.is_alive], tolerated=[401])


def of_a_user(driver: Driver) -> None:
    """Block, deactivate and ban a user, each time letting him in again; delete him."""
    user = new_user(driver)
    token = new_token(driver, user, ("read_user",))
    driver.show(*_about(token, driver.stage.client))
    verbs = [("block", "unblock"), ("deactivate", "activate"), ("ban", "unban")]
    for away, back in driver.stage.chance.sample(verbs, len(verbs)):
        # To ban whoever is banned is refused.
        request = as_root(driver, "POST", f"/users/{user.id}/{away}")
        driver.do_twice(request, taken=[user.is_active], tolerated=[403])
        driver.do(as_root(driver, "POST", f"/users/{user.id}/{back}"), given=[user.is_active])
        driver.rest()
    request = as_root(driver, "DELETE", f"/users/{user.id}")
    driver.do_twice(request, taken=[user.is_active], tolerated=[404])


def of_an_admin(driver: Driver) -> None:
    """Take sudo away from both its ends and give it back; cut it off the token."""
    admin, target = new_user(driver, is_admin=True), new_user(driver)
    client = driver.stage.client
    token = new_token(driver, admin, ("api", "sudo"))
    lent = exchanged(driver, token, target)
    driver.show(
        IntrospectAs(client, token, target),
        As(token, target),
        Introspect(client, lent),
        *_about(token, client),
    )
    changes = [
        (as_root(driver, "PUT", f"/users/{admin.id}", PLAIN), admin.is_admin),
        (as_root(driver, "POST", f"/users/{target.id}/block"), target.is_active),
        (as_root(driver, "PUT", f"/users/{target.id}", ADMIN), target.is_plain),
    ]
    undone = {
        admin.is_admin: as_root(driver, "PUT", f"/users/{admin.id}", ADMIN),
        target.is_active: as_root(driver, "POST", f"/users/{target.id}/unblock"),
        target.is_plain: as_root(driver, "PUT", f"/users/{target.id}", PLAIN),
    }
    for request, power in driver.stage.chance.sample(changes, len(changes)):
        driver.do_twice(request, taken=[power])
        driver.do(undone[power], given=[power])
        driver.rest()
    cut = as_root(driver, "PATCH", f"/personal_access_tokens/{token.id}", {"scopes": ["api"]})
    driver.do_twice(cut, taken=[token.holds("sudo")])
    driver.do_twice(
        as_root(driver, "DELETE", f"/users/{admin.id}"),
        taken=[admin.is_active, admin.is_admin],
        tolerated=[404],
    )


def of_a_client(driver: Driver) -> None:
    """Disable a client and take from it the right to ask about sudo, and back; delete it."""
    client, target = new_client(driver, "sudo"), new_user(driver)
    token = new_token(driver, new_user(driver, is_admin=True), ("api", "sudo"))
    driver.show(IntrospectAs(client, token, target), Introspect(client, token), Self(token))
    path = f"/tokensrv/clients/{client.id}"
    disable = as_root(driver, "POST", f"{path}/disable")
    driver.do_twice(disable, taken=[client.is_enabled])
    driver.do(as_root(driver, "POST", f"{path}/enable"), given=[client.is_enabled])
    driver.rest()
    driver.do_twice(as_root(driver, "PATCH", path, {"allow": []}), taken=[client.may_sudo])
    driver.do(as_root(driver, "PATCH", path, {"allow": ["sudo"]}), given=[client.may_sudo])
    driver.rest()
    driver.do_twice(as_root(driver, "DELETE", path), taken=[client.is_enabled], tolerated=[404])


LIVES = (of_a_token, of_a_user, of_an_admin, of_a_client)


def as_root(
    driver: Driver, method: str, path: str, fields: dict[str, Any] | None = None
) -> Request:
    """Return a call by the first admin, from whom nobody takes anything."""
    return api(method, path, driver.stage.root_secret, fields)


def new_user(driver: Driver, *, is_admin: bool = False) -> User:
    """Make a user."""
    name = f"user{next(driver.stage.numbers)}"
    wanted = {"username": name, "name": name, "email": f"{name}@example.com", "admin": is_admin}
    wanted["force_random_password"] = True
    return User(driver.do(as_root(driver, "POST", "/users", wanted)).document["id"], name)


def new_token(
    driver: Driver, owner: User, scopes: tuple[str, ...], audience: tuple[Client, ...] = ()
) -> Token:
    """Make a token for a user."""
    wanted = {"name": "one", "scopes": scopes, "audience": [client.id for client in audience]}
    request = as_root(driver, "POST", f"/users/{owner.id}/personal_access_tokens", wanted)
    made = driver.do(request).document
    return Token(made["id"], made["token"], owner, scopes, audience)


def new_client(driver: Driver, *allow: str) -> Client:
    """Make a client that may do this beyond introspecting."""
    wanted = {"name": "one", "allow": allow}
    made = driver.do(as_root(driver, "POST", "/tokensrv/clients", wanted)).document
    return Client(made["client_id"], made["client_secret"])


def exchanged(driver: Driver, token: Token, target: User) -> Token:
    """Have a token made out of another one that acts as the target."""
    asked = {"subject_token": token.secret, "subject_token_type": ACCESS_TOKEN}
    asked |= {"grant_type": EXCHANGE, "requested_subject": target.name}
    made = driver.do(oauth("token", driver.stage.client, **asked)).document
    # Its id is in no answer, and its number only has to be nobody else's.
    number = -next(driver.stage.numbers)
    return Token(number, made["access_token"], target, lent_by=token)


def _about(token: Token, *clients: Client) -> list[Question]:
    """Return everything to ask about a token: each client, each scope, and the token itself."""
    plain = [Introspect(client, token) for client in clients]
    scoped = [Introspect(clients[0], token, scope) for scope in token.scopes]
    return [*plain, *scoped, Self(token)]
