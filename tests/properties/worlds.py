"""Generated worlds: who there is, in which state, and what somebody asks about a token.

One database serves all examples of a test: each example sets the same few rows anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.orm import Session

from tests.conftest import START
from tests.factories import make_admin, make_client, make_exchanged, make_token, make_user
from tokensrv.clock import from_ms, to_ms
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind, UserState
from tokensrv.models import Client, Token, User
from tokensrv.services.freshness import settled
from tokensrv.services.records import NewClient, NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE, NewEvent, append

T = TypeVar("T")

NOW_MS = to_ms(START)
SCOPES = ("api", "read_api", "read_user", "write_registry", "self_rotate", "introspect", "sudo")
# Root asks for explanations, carol acts, alice is acted as; the ids are those of an empty instance.
ROOT, CAROL, ALICE = ("root", 1), ("carol", 2), ("alice", 3)
HERE, THERE = "192.0.2.7", "198.51.100.1"
JUNK = ("", " ", "alice,carol", "zoë")


@dataclass(frozen=True)
class Person:
    """A user's state."""

    state: UserState = UserState.ACTIVE
    is_admin: bool = False


@dataclass(frozen=True)
class Paper:
    """A token's state; ``ends_ms`` counts from now, None: never."""

    scopes: tuple[str, ...]
    ends_ms: int | None = None
    is_revoked: bool = False
    # "open" and "limited" are the two clients.
    audience: tuple[str, ...] = ()
    allowed_ips: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scene:
    """Everything that is generated but the question.

    A personal or impersonation token is carol's. An exchanged one comes from carol's source, and
    is alice's, or carol's own where it was merely made narrower.
    """

    kind: TokenKind = TokenKind.PERSONAL
    is_narrowed: bool = False
    token: Paper = Paper(("api", "sudo"))
    source: Paper = Paper(("api", "sudo"))
    carol: Person = Person(is_admin=True)
    alice: Person = Person()
    reason: str | None = "exchanged for ticket 12"
    limit: tuple[str, ...] | None = None
    may_sudo: bool = True
    is_disabled: bool = False


@dataclass(frozen=True)
class Ask:
    """What is asked about the token, and where the sudo stands in the request.

    ``header`` and ``parameter`` None: no sudo there. ``scopes`` are those that a client wants,
    ``ip`` is where the token is used from.
    """

    header: str | None = None
    parameter: str | None = None
    reason: str | None = None
    scopes: tuple[str, ...] = ()
    ip: str = HERE

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of the request."""
        if self.header is None:
            return {}
        return {"Sudo": self.header} | ({"Sudo-Reason": self.reason} if self.reason else {})

    @property
    def parameters(self) -> dict[str, str]:
        """Return the parameters of the request that are about sudo."""
        if self.parameter is None:
            return {}
        return {"sudo": self.parameter} | ({"sudo_reason": self.reason} if self.reason else {})

    @property
    def as_parameters(self) -> dict[str, str]:
        """Return the same question for those who refuse the header."""
        named = [text for text in (self.header, self.parameter) if text is not None]
        if not named:
            return {}
        # Two that disagree are junk, and so is this.
        text = named[0] if len({text.lower() for text in named}) == 1 else JUNK[0]
        return {"sudo": text} | ({"sudo_reason": self.reason} if self.reason else {})


def _mostly(good: T, others: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    # With everything drawn evenly hardly any world would be one in which a token is active.
    return st.one_of(st.just(good), st.just(good), st.just(good), others)


def _some(words: Sequence[str], *, at_least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(words), min_size=at_least, unique=True).map(tuple)


def _person(*, is_admin: bool) -> st.SearchStrategy[Person]:
    return st.builds(
        Person,
        _mostly(UserState.ACTIVE, st.sampled_from(UserState)),
        _mostly(is_admin, st.booleans()),
    )


_PAPERS = st.builds(
    Paper,
    scopes=_mostly(("api", "sudo"), _some(SCOPES, at_least=1)),
    ends_ms=_mostly(None, st.integers(-1, 1)),
    is_revoked=_mostly(False, st.booleans()),
    audience=_mostly((), _some(("open", "limited"))),
    allowed_ips=_mostly((), _some(("192.0.2.0/24", THERE))),
)
_NAMED = st.sampled_from(
    ("alice", "ALICE", "3", "carol", "2", "root", "nobody", "999", "9" * 18, *JUNK)
)
_REASONS = _mostly("ticket 7", st.sampled_from((None, "x" * 255, "x" * 256)))

SCENES = st.builds(
    Scene,
    kind=st.sampled_from(TokenKind),
    is_narrowed=st.booleans(),
    token=_PAPERS,
    source=_PAPERS,
    carol=_person(is_admin=True),
    alice=_person(is_admin=False),
    reason=_mostly("exchanged for ticket 12", st.none()),
    limit=_mostly(None, _some(SCOPES)),
    may_sudo=_mostly(True, st.booleans()),
    is_disabled=_mostly(False, st.booleans()),
)
_WANTED = _mostly((), _some(SCOPES))
_IPS = _mostly(HERE, st.just(THERE))
ASKS = st.one_of(
    st.builds(Ask, scopes=_WANTED, ip=_IPS),
    st.builds(Ask, header=_mostly("alice", _NAMED), reason=_REASONS, scopes=_WANTED, ip=_IPS),
    st.builds(Ask, parameter=_mostly("alice", _NAMED), reason=_REASONS, scopes=_WANTED, ip=_IPS),
    st.builds(Ask, header=_NAMED, parameter=_NAMED, reason=_REASONS, scopes=_WANTED, ip=_IPS),
)


@dataclass(frozen=True)
class Stage:
    """The rows that every example sets anew."""

    store: Store
    carol: UserRecord
    alice: UserRecord
    admin: NewToken
    source: NewToken
    token: NewToken
    # One that may do and see everything, and one that is generated.
    open: NewClient
    limited: NewClient

    def set(self, scene: Scene) -> None:
        """Make the rows what the scene says."""
        with settled(self.store) as session:
            self._set_user(session, self.carol, scene.carol)
            self._set_user(session, self.alice, scene.alice)
            self._set_token(session, self.source, scene.source, self._plain())
            self._set_token(session, self.token, scene.token, self._origin(scene))
            session.execute(
                update(Client)
                .where(Client.client_id == self.limited.record.client_id)
                .values(
                    scopes=scene.limit,
                    allow=("batch", "sudo") if scene.may_sudo else ("batch",),
                    disabled_at=START if scene.is_disabled else None,
                )
            )
            # No verb did this, so that all that anybody keeps must go.
            anything = NewEvent(action="schema.upgraded")
            append(session, self.store.clock, COMMAND_LINE, [anything])

    def _plain(self, kind: TokenKind = TokenKind.PERSONAL) -> dict[str, Any]:
        nothing = dict.fromkeys(("source_id", "actor_id", "exchanged_by", "reason"))
        return nothing | {"kind": kind, "user_id": self.carol.id}

    def _origin(self, scene: Scene) -> dict[str, Any]:
        if scene.kind is not TokenKind.EXCHANGED:
            return self._plain(scene.kind)
        return {
            "kind": scene.kind,
            "user_id": self.carol.id if scene.is_narrowed else self.alice.id,
            "source_id": self.source.record.id,
            "actor_id": None if scene.is_narrowed else self.carol.id,
            "exchanged_by": self.open.record.client_id,
            "reason": scene.reason,
        }

    def _set_user(self, session: Session, user: UserRecord, person: Person) -> None:
        values = {"state": person.state.value, "is_admin": person.is_admin}
        session.execute(update(User).where(User.id == user.id).values(values))

    def _set_token(
        self, session: Session, token: NewToken, paper: Paper, origin: dict[str, Any]
    ) -> None:
        clients = {"open": self.open, "limited": self.limited}
        ends = None if paper.ends_ms is None else from_ms(NOW_MS + paper.ends_ms)
        values = {
            "scopes": paper.scopes,
            "expires_at": ends,
            "revoked_at": START if paper.is_revoked else None,
            "audience": tuple(clients[name].record.client_id for name in paper.audience),
            "allowed_ips": paper.allowed_ips,
        }
        session.execute(update(Token).where(Token.id == token.record.id).values(values | origin))


def build(store: Store) -> Stage:
    """Return the rows in an empty instance."""
    root, carol, alice = make_admin(store), make_admin(store, "carol"), make_user(store)
    found = [(user.username, user.id) for user in (root, carol, alice)]
    assert found == [ROOT, CAROL, ALICE]
    source = make_token(store, carol, ("api", "sudo"))
    return Stage(
        store=store,
        carol=carol,
        alice=alice,
        admin=make_token(store, root, ("api",)),
        source=source,
        token=make_exchanged(store, source, alice),
        open=make_client(store, "open", allow=("batch", "sudo")),
        limited=make_client(store, "limited", allow=("batch",)),
    )
