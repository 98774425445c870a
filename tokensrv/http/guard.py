"""The guard: nobody reaches a view but those whom the table of permissions lets in.

It runs before every route: credential, sudo, its record, scope, role. After it the view finds
the caller in ``context.caller()``. Routes that do not exist are answered without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from flask import Flask, Response, current_app, g, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from tokensrv.domain.caller import Caller, Check, InvalidSudo, Refusal, SudoAsk, decide
from tokensrv.domain.facts import Facts
from tokensrv.domain.scopes import available
from tokensrv.domain.secret import token_digest
from tokensrv.http import context
from tokensrv.http.answers import ApiError, forbidden, of_refusal, unauthorized
from tokensrv.http.parse import credentials, sudo
from tokensrv.http.permissions import PERMISSIONS, PUBLIC, Permission, refusal, role_refusal
from tokensrv.services.authority import policy
from tokensrv.services.lifecycle import rotation
from tokensrv.services.trail import sudo as sudo_service

Ask = SudoAsk | InvalidSudo | None
# Lets a request in (None), or answers it in its view's stead.
Admit = Callable[[], ResponseReturnValue | None]

_HANDED_OVER: Final = "tokensrv_guards"


def init_app(app: Flask) -> None:
    """Close every route of the application but the public ones."""
    app.extensions[_HANDED_OVER] = {}
    app.before_request(_admit)
    app.after_request(_name_both)


def hand_over(app: Flask, blueprint: str, admit: Admit) -> None:
    """Have the routes of a blueprint, and of those within it, guarded by ``admit`` instead."""
    app.extensions[_HANDED_OVER][blueprint] = admit


def require_role() -> None:
    """Raise ApiError (403) unless the caller has the role that this route asks for.

    Where GitLab looks at the parameters first, the view's frame calls this after them.
    """
    refused = role_refusal(_permission(), context.caller())
    if refused is not None:
        raise refused


def _admit() -> ResponseReturnValue | None:
    if request.environ.get("PATH_INFO", "").startswith("//"):
        # Werkzeug takes it for one slash, a proxy that guards paths does not.
        raise NotFound
    if request.endpoint is None or request.endpoint in PUBLIC:
        return None
    guards = cast(dict[str, Admit], current_app.extensions[_HANDED_OVER])
    for name in request.blueprints:
        if name in guards:
            return guards[name]()
    permission = _permission()
    # Kept before anything else is refused: an answer under sudo always says so.
    g.caller = caller = _identify(permission)
    g.needs = permission.needs
    if permission.asks_about_sudo and "Sudo" in request.headers:
        raise _ambiguous()
    refused = refusal(
        permission,
        caller,
        parameters=context.parameters().given.keys(),
        available=available(context.settings().extra_scopes),
    )
    if refused is not None:
        raise refused
    return None


def _permission() -> Permission:
    permission = PERMISSIONS.get(request.endpoint or "")
    if permission is None:
        raise forbidden()
    return permission


def _identify(permission: Permission) -> Caller:
    """Return who calls as whom; a sudo is on record when this returns."""
    secret, ask = _presented(), _asked(permission)
    if secret is None:
        is_hidden = permission.hides_from_anonymous and ask is None
        raise forbidden() if is_hidden else unauthorized()
    decision = _decide(secret, ask)
    if isinstance(decision, Refusal) and not decision.is_sudo:
        raise _dead(permission, decision)
    if decision.token is not None:
        # A good token was used, even if not everything that it asked for was granted.
        context.usage().used(decision.token.id, decision.token.user_id, context.remote_address())
    return _recorded(decision)


def _presented() -> str | None:
    return credentials.presented(
        context.parameters(),
        private_token=request.headers.get("PRIVATE-TOKEN"),
        authorization=request.headers.get("Authorization"),
        in_query=context.settings().query_tokens,
    )


def _asked(permission: Permission) -> Ask:
    if permission.asks_about_sudo:
        return None
    parameters = context.parameters()
    ask = sudo.read(
        request.headers.get("Sudo"),
        parameters.all("sudo"),
        request.headers.get("Sudo-Reason"),
        parameters.all("sudo_reason"),
    )
    context.log_unreadable(ask)
    return ask


def _decide(secret: str, ask: Ask) -> Caller | Refusal:
    store = context.store()
    facts = _facts(secret, ask)
    return decide(
        facts.token,
        facts.owner,
        ask,
        facts.target,
        now_ms=store.clock.now_ms(),
        policy=policy(store),
        exchange=facts.exchange,
        remote_ip=context.remote_address(),
    )


def _facts(secret: str, ask: Ask) -> Facts:
    digest = token_digest(secret)
    if digest is None:
        # It cannot be one of ours, so storage is not asked.
        return Facts()
    target = ask.target if isinstance(ask, SudoAsk) else None
    return context.lookup().find(digest=digest, target=target)


def _dead(permission: Permission, refused: Refusal) -> ApiError:
    """Return the answer to a dead credential, after its successors were revoked if need be."""
    is_reuse = permission.detects_reuse and refused.check is Check.REVOKED
    if is_reuse and refused.token is not None:
        rotation.revoke_descendants(
            context.store(), context.origin(), refused.token.id, began_at=context.began_at()
        )
    return _answer(refused)


def _recorded(decision: Caller | Refusal) -> Caller:
    """Return the caller when his sudo, if any, is on record; raises ApiError for a refused one."""
    store, origin = context.store(), context.origin()
    method, path = request.method, request.path
    if isinstance(decision, Caller) and decision.is_sudo:
        decision = sudo_service.use(store, decision, origin, method=method, path=path)
    if isinstance(decision, Refusal):
        context.metrics().sudo(decision.check.value)
        sudo_service.refused(store, context.usage(), decision, origin, method=method, path=path)
        raise _answer(decision)
    if decision.is_sudo:
        context.metrics().sudo("used")
    return decision


def _ambiguous() -> ApiError:
    """Return 400 for the header on a route whose question is about sudo itself."""
    text = "The header Sudo has no meaning here; ask about sudo with the parameter."
    return ApiError(400, {"error": "invalid_request", "error_description": text})


def _answer(refused: Refusal) -> ApiError:
    return of_refusal(refused, sign_in_url=context.settings().external_url)


def _name_both(response: Response) -> Response:
    caller: Caller | None = g.get("caller")
    if caller is not None and caller.is_sudo:
        response.headers["Tokensrv-Actor"] = str(caller.actor.id)
        response.headers["Tokensrv-Subject"] = str(caller.subject.id)
    return response
