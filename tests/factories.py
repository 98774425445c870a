"""Users, tokens, clients and callers as the services make them, in one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyotp

from tokensrv import lookup
from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain.caller import Caller, SudoAsk, decide
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.secret import Kind, digest, mint, token_digest
from tokensrv.domain.usernames import target
from tokensrv.models import Token, User
from tokensrv.services.account import recognition, sessions
from tokensrv.services.account.factors import totp
from tokensrv.services.account.sessions import Browser, Current, NewSession, Stage
from tokensrv.services.authority import policy
from tokensrv.services.directory import clients, users
from tokensrv.services.directory.client_values import ClientValues
from tokensrv.services.directory.users import NewUser
from tokensrv.services.lifecycle import minting
from tokensrv.services.lifecycle.minting import TokenWish
from tokensrv.services.records import NewClient, NewToken, UserRecord, token_record
from tokensrv.services.trail.events import COMMAND_LINE, Origin

BROWSER = Browser(
    "192.0.2.7", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
)


def make_user(store: Store, username: str = "alice", **wanted: Any) -> UserRecord:
    """Return a new user, made on the command line."""
    values = {"email": f"{username}@example.org", "name": username.title()} | wanted
    return users.create(store, COMMAND_LINE, NewUser(username=username, **values))


def make_admin(store: Store, username: str = "root", **wanted: Any) -> UserRecord:
    """Return a new admin, made on the command line."""
    return make_user(store, username, is_admin=True, **wanted)


def make_token(
    store: Store,
    user: UserRecord,
    scopes: tuple[str, ...] = ("api",),
    *,
    name: str = "a token",
    **wanted: Any,
) -> NewToken:
    """Return a new token with its secret, made on the command line."""
    wish = TokenWish(name=name, scopes=scopes, **wanted)
    return minting.create_for_user(store, COMMAND_LINE, user.id, wish)


def make_exchanged(
    store: Store,
    source: NewToken,
    owner: UserRecord,
    scopes: tuple[str, ...] = ("api",),
    *,
    client_id: str = "service",
    **columns: Any,
) -> NewToken:
    """Return a token as an exchange leaves it behind, whether or not it would be granted now.

    It acts as its owner, unless the source is the owner's own: then it is merely narrower.
    """
    secret, now = mint(store.settings.prefix, Kind.EXCHANGED), utcnow(store.clock)
    actor_id = source.record.user_id
    token = Token(
        kind=TokenKind.EXCHANGED,
        user_id=owner.id,
        digest=digest(secret),
        name="exchanged",
        scopes=scopes,
        created_at=now,
        updated_at=now,
        source_id=source.record.id,
        actor_id=None if actor_id == owner.id else actor_id,
        exchanged_by=client_id,
        **columns,
    )
    with store.write() as session:
        session.add(token)
        session.flush()
        session.refresh(token)
        return NewToken(token_record(token, now), secret)


def make_client(store: Store, name: str = "service", **wanted: Any) -> NewClient:
    """Return a new client with its secret, made on the command line."""
    return clients.create(store, COMMAND_LINE, ClientValues(name=name, **wanted))


def caller_of(
    store: Store, secret: str, *, sudo: str | None = None, reason: str | None = None
) -> Caller:
    """Return who calls with this secret, as whom, as the edges find it out."""
    ask = None if sudo is None else SudoAsk(target(sudo), reason)
    facts = lookup.build(store).find(
        digest=token_digest(secret), target=None if ask is None else ask.target
    )
    decision = decide(
        facts.token,
        facts.owner,
        ask,
        facts.target,
        now_ms=store.clock.now_ms(),
        policy=policy(store),
        exchange=facts.exchange,
        remote_ip=BROWSER.ip,
    )
    assert isinstance(decision, Caller), decision
    return decision


def origin_of(
    store: Store, secret: str, *, sudo: str | None = None, reason: str | None = None
) -> Origin:
    """Return the origin of a request that presents this secret."""
    return Origin(caller_of(store, secret, sudo=sudo, reason=reason), BROWSER.ip, "request-1")


def make_session(
    store: Store,
    user: UserRecord,
    *,
    stage: Stage = Stage.FULL,
    methods: tuple[str, ...] = ("password",),
    browser: Browser = BROWSER,
) -> NewSession:
    """Return a web session as a sign-in leaves it behind."""
    with store.write() as session:
        row = session.get_one(User, user.id)
        return sessions.add(session, store, row, stage=stage, methods=methods, browser=browser)


def current_of(store: Store, new: NewSession) -> Current:
    """Return the session of a request that brings this cookie."""
    found = recognition.find(store, new.secret, BROWSER)
    assert found is not None
    return found


@dataclass(frozen=True)
class TotpApp:
    """A user's authenticator app, with the recovery codes that came with it."""

    store: Store
    secret: str
    recovery_codes: tuple[str, ...]

    def code(self, *, steps: int = 1) -> str:
        """Return a code that counts now; that of this moment has set the app up."""
        seconds = self.store.clock.now_ms() // 1000
        return pyotp.TOTP(self.secret).at(seconds, counter_offset=steps)


def make_totp(store: Store, user: UserRecord) -> TotpApp:
    """Return the app that a user has set up."""
    current = current_of(store, make_session(store, user))
    secret = totp.begin(store, origin_in(current), current).secret
    code = pyotp.TOTP(secret).at(store.clock.now_ms() // 1000)
    changed = totp.confirm(store, origin_in(current), current, code)
    return TotpApp(store, secret, changed.recovery_codes)


def origin_in(current: Current) -> Origin:
    """Return the origin of a request within a web session."""
    return Origin(current.caller, BROWSER.ip, "request-1")
