from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from tests.conftest import START, ManualClock
from tests.databases import opened
from tests.factories import caller_of, make_admin, make_client, make_token, make_user, origin_of
from tests.services.conftest import contents, events_of
from tokensrv import lookup
from tokensrv.clock import midnight
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.caller import Caller, Check, Refused
from tokensrv.domain.facts import TokenKind, UserFacts
from tokensrv.domain.secret import digest, has_shape
from tokensrv.errors import Forbidden, Invalid, LifetimeExceeded, NotFound, ScopesNotHeld
from tokensrv.services.directory import user_states, users
from tokensrv.services.lifecycle import minting, rotation, tokens
from tokensrv.services.lifecycle.minting import TokenWish
from tokensrv.services.records import NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE, Origin

TODAY = START.date()
TOMORROW = TODAY + timedelta(days=1)
LAST = TODAY + timedelta(days=365)


def _wish(*scopes: str, **wanted: object) -> TokenWish:
    return dataclasses.replace(TokenWish(name="new", scopes=scopes or ("read_user",)), **wanted)


@pytest.fixture
def strict(settings: Settings, clock: ManualClock) -> Iterator[Store]:
    """A Store of an instance that requires an expiry, of 30 days at most."""
    changed = dataclasses.replace(settings, require_expiry=True, max_lifetime_days=30)
    with opened(changed, clock) as store:
        yield store


def test_a_new_token_is_found_by_its_secret_and_by_nothing_that_is_stored(store: Store) -> None:
    root = make_admin(store)
    new = make_token(store, root, ("api", "sudo"), description="why", expires_on=TOMORROW)
    assert has_shape(new.secret)
    assert new.secret.startswith("tsp_")
    facts = lookup.build(store).find(digest=digest(new.secret))
    assert facts.token is not None
    assert facts.token.id == new.record.id
    assert new.secret not in repr(new)
    assert new.secret not in str(contents(store))
    record = tokens.get(store, None, new.record.id)
    assert record == new.record
    assert (record.scopes, record.description) == (("api", "sudo"), "why")
    assert (record.created_at, record.expires_at) == (START, midnight(TOMORROW))


def test_an_impersonation_token_has_a_kind_and_a_prefix_of_its_own(
    store: Store, root: UserRecord
) -> None:
    new = make_token(store, root, kind=TokenKind.IMPERSONATION)
    assert new.record.kind == "impersonation"
    assert new.secret.startswith("tsi_")


def test_the_event_of_a_new_token_tells_everything_but_the_secret(
    store: Store, root: UserRecord
) -> None:
    client = make_client(store).record.client_id
    new = make_token(
        store,
        root,
        ("api",),
        expires_on=TOMORROW,
        audience=(client,),
        allowed_ips=("10.0.0.0/255.0.0.0", "192.0.2.7"),
    )
    row = events_of(store)[-1]
    assert (row.action, row.token_id) == ("token.created", new.record.id)
    assert row.data == {
        "user_id": root.id,
        "kind": "personal",
        "name": "a token",
        "description": None,
        "scopes": ["api"],
        "expires_at": "2026-03-11",
        "audience": [client],
        "allowed_ips": ["10.0.0.0/8", "192.0.2.7"],
        "via": "cli",
    }


def test_an_admin_makes_tokens_for_anybody_with_scopes_that_his_own_lacks(
    store: Store, root: UserRecord
) -> None:
    alice = make_user(store)
    origin = origin_of(store, make_token(store, root, ("api",)).secret)
    new = minting.create_for_user(store, origin, alice.id, _wish("api", "write_registry"))
    assert new.record.user_id == alice.id
    row = events_of(store)[-1]
    assert (row.actor, row.subject, row.data["user_id"]) == ("root", "root", alice.id)


@pytest.mark.parametrize("scope", ["sudo", "introspect"])
def test_an_admin_gives_an_admins_scope_only_if_his_token_holds_it(
    store: Store, root: UserRecord, scope: str
) -> None:
    other = make_admin(store, "other")
    without = origin_of(store, make_token(store, root, ("api",)).secret)
    with pytest.raises(ScopesNotHeld) as refused:
        minting.create_for_user(store, without, other.id, _wish("api", scope))
    assert refused.value.missing == (scope,)
    holding = origin_of(store, make_token(store, root, ("api", scope)).secret)
    new = minting.create_for_user(store, holding, other.id, _wish("api", scope))
    assert new.record.scopes == ("api", scope)


@pytest.mark.parametrize("scope", ["sudo", "introspect"])
@pytest.mark.parametrize("kind", [TokenKind.PERSONAL, TokenKind.IMPERSONATION])
def test_nobody_gives_an_admins_scope_to_a_user(
    store: Store, root: UserRecord, scope: str, kind: TokenKind
) -> None:
    alice = make_user(store)
    origin = origin_of(store, make_token(store, root, ("api", scope)).secret)
    for asking in (origin, COMMAND_LINE):
        with pytest.raises(Invalid, match="scopes does not have a valid value"):
            minting.create_for_user(store, asking, alice.id, _wish(scope, kind=kind))


def test_a_user_makes_no_tokens_for_users_not_even_for_himself(
    store: Store, root: UserRecord
) -> None:
    alice = make_user(store)
    origin = origin_of(store, make_token(store, alice).secret)
    for user in (root, alice):
        with pytest.raises(Forbidden):
            minting.create_for_user(store, origin, user.id, _wish())


def test_a_token_for_an_unknown_user_is_refused(store: Store, root: UserRecord) -> None:
    for unknown in (root.id + 1, 2**63 - 1):
        with pytest.raises(NotFound) as refused:
            minting.create_for_user(store, COMMAND_LINE, unknown, _wish())
        assert refused.value.kind == "User"


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        pytest.param(("api",), ("api",), id="the same"),
        pytest.param(("api",), ("read_repository", "self_rotate"), id="contained"),
        pytest.param(("read_api", "sudo"), ("read_user",), id="contained beside sudo"),
    ],
)
def test_a_user_gives_himself_what_his_token_holds(
    store: Store, root: UserRecord, held: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    origin = origin_of(store, make_token(store, root, held).secret)
    new = minting.create_for_self(store, origin, _wish(*wanted))
    assert (new.record.scopes, new.record.user_id) == (wanted, root.id)


@pytest.mark.parametrize(
    ("held", "wanted", "error"),
    [
        pytest.param(("api",), ("sudo",), Invalid, id="sudo"),
        pytest.param(("api", "sudo"), ("sudo",), Invalid, id="sudo that it holds"),
        pytest.param(("api", "introspect"), ("introspect",), Invalid, id="introspect"),
        pytest.param(("read_api",), ("api",), ScopesNotHeld, id="more"),
        pytest.param(("sudo",), ("api",), ScopesNotHeld, id="sudo holds nothing else"),
        pytest.param(("read_repository",), ("write_repository",), ScopesNotHeld, id="write"),
        pytest.param(("api",), ("apii",), Invalid, id="unknown"),
        pytest.param(("api",), (), Invalid, id="none"),
    ],
)
def test_a_user_gives_himself_nothing_else(
    store: Store,
    root: UserRecord,
    held: tuple[str, ...],
    wanted: tuple[str, ...],
    error: type[Exception],
) -> None:
    origin = origin_of(store, make_token(store, root, held).secret)
    before = contents(store)
    with pytest.raises(error):
        minting.create_for_self(store, origin, TokenWish(name="new", scopes=wanted))
    assert contents(store) == before


def test_a_token_for_oneself_ends_with_the_calling_one_at_the_latest(
    store: Store, root: UserRecord
) -> None:
    own_day = TODAY + timedelta(days=10)
    origin = origin_of(store, make_token(store, root, expires_on=own_day).secret)
    assert minting.create_for_self(store, origin, _wish()).record.expires_on == own_day
    earlier = _wish(expires_on=own_day - timedelta(days=1))
    assert minting.create_for_self(store, origin, earlier).record.expires_on == earlier.expires_on
    same = _wish(expires_on=own_day)
    assert minting.create_for_self(store, origin, same).record.expires_on == own_day
    with pytest.raises(LifetimeExceeded) as refused:
        minting.create_for_self(store, origin, _wish(expires_on=own_day + timedelta(days=1)))
    assert refused.value.last_day == own_day


def test_a_token_for_oneself_by_a_token_without_end_has_none_either(
    store: Store, root: UserRecord
) -> None:
    origin = origin_of(store, make_token(store, root).secret)
    assert minting.create_for_self(store, origin, _wish()).record.expires_on is None


@pytest.mark.parametrize(
    "day", [date(1970, 1, 1), TODAY - timedelta(days=1), TODAY], ids=["1970", "yesterday", "today"]
)
def test_an_expiry_up_to_today_is_refused(store: Store, root: UserRecord, day: date) -> None:
    origin = origin_of(store, make_token(store, root).secret)
    with pytest.raises(Invalid, match="expires_at is invalid"):
        minting.create_for_self(store, origin, _wish(expires_on=day))
    with pytest.raises(Invalid, match="expires_at is invalid"):
        minting.create_for_user(store, COMMAND_LINE, root.id, _wish(expires_on=day))


@pytest.mark.parametrize("kind", [TokenKind.PERSONAL, TokenKind.IMPERSONATION])
def test_the_last_allowed_day_is_allowed_and_the_next_is_not(
    store: Store, root: UserRecord, kind: TokenKind
) -> None:
    assert make_token(store, root, kind=kind, expires_on=LAST).record.expires_on == LAST
    for day in (LAST + timedelta(days=1), date.max):
        with pytest.raises(LifetimeExceeded, match="before 2027-03-10"):
            make_token(store, root, kind=kind, expires_on=day)


def test_where_an_expiry_is_required_a_missing_one_is_the_last_day(strict: Store) -> None:
    root = make_admin(strict)
    last = TODAY + timedelta(days=30)
    assert make_token(strict, root).record.expires_on == last
    origin = origin_of(strict, make_token(strict, root).secret)
    assert minting.create_for_self(strict, origin, _wish()).record.expires_on == last


def test_the_days_of_a_lifetime_are_counted_in_utc(
    store: Store, root: UserRecord, clock: ManualClock
) -> None:
    clock.set(midnight(TOMORROW) - timedelta(milliseconds=1))
    make_token(store, root, expires_on=TOMORROW)
    clock.advance(seconds=0.001)
    with pytest.raises(Invalid):
        make_token(store, root, expires_on=TOMORROW)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        pytest.param({"name": ""}, "name", id="no name"),
        pytest.param({"name": " \t"}, "name", id="blank name"),
        pytest.param({"name": "x" * 256}, "name", id="long name"),
        pytest.param({"name": "a\0b"}, "name", id="NUL in the name"),
        pytest.param({"name": "\ud800"}, "name", id="half a letter in the name"),
        pytest.param({"description": "x" * 256}, "description", id="long description"),
        pytest.param({"description": "\0"}, "description", id="NUL in the description"),
        pytest.param({"audience": ("nobody",)}, "audience", id="unknown client"),
        pytest.param({"allowed_ips": ("here",)}, "allowed_ips", id="no address"),
        pytest.param({"allowed_ips": ("192.0.2.7/8",)}, "allowed_ips", id="neither one nor many"),
    ],
)
def test_hostile_values_are_refused_by_name(
    store: Store, root: UserRecord, changed: dict[str, object], problem: str
) -> None:
    with pytest.raises(Invalid) as refused:
        minting.create_for_user(store, COMMAND_LINE, root.id, _wish(**changed))
    assert refused.value.field == problem


def test_an_allow_list_is_kept_in_its_one_spelling(store: Store, root: UserRecord) -> None:
    wanted = ("2001:DB8::/32", "192.0.2.7/32", "192.0.2.7")
    record = make_token(store, root, allowed_ips=wanted).record
    assert record.allowed_ips == ("2001:db8::/32", "192.0.2.7")
    assert tokens.get(store, None, record.id) == record


OWN = ("10.0.0.0/8", "192.0.2.7")


@pytest.mark.parametrize("verb", ["create_for_self", "create_for_user"])
@pytest.mark.parametrize(
    ("held", "wanted", "given"),
    [
        pytest.param(OWN, (), OWN, id="as the calling one without a wish"),
        pytest.param(OWN, ("10.1.0.0/16",), ("10.1.0.0/16",), id="fewer"),
        pytest.param(OWN, ("10.1.0.0/16", "192.0.2.8"), None, id="one beyond"),
        pytest.param(OWN, ("0.0.0.0/0",), None, id="all"),
        pytest.param((), ("192.0.2.8",), ("192.0.2.8",), id="any, of one from anywhere"),
        pytest.param((), (), (), id="none, of one from anywhere"),
    ],
)
def test_a_token_for_oneself_is_good_from_no_place_from_where_the_calling_one_is_not(
    store: Store,
    root: UserRecord,
    verb: str,
    held: tuple[str, ...],
    wanted: tuple[str, ...],
    given: tuple[str, ...] | None,
) -> None:
    origin = origin_of(store, make_token(store, root, allowed_ips=held).secret)
    wish = _wish(allowed_ips=wanted)

    def create() -> NewToken:
        if verb == "create_for_self":
            return minting.create_for_self(store, origin, wish)
        return minting.create_for_user(store, origin, root.id, wish)

    if given is None:
        with pytest.raises(Invalid) as refused:
            create()
        assert refused.value.field == "allowed_ips"
    else:
        assert create().record.allowed_ips == given


def test_an_admins_allow_list_does_not_bind_what_he_makes_for_others(
    store: Store, root: UserRecord
) -> None:
    origin = origin_of(store, make_token(store, root, allowed_ips=OWN).secret)
    new = minting.create_for_user(store, origin, make_user(store).id, _wish())
    assert new.record.allowed_ips == ()


def test_the_longest_texts_are_stored_as_they_are(store: Store, root: UserRecord) -> None:
    wish = _wish(name="🦉" * 255, description="é" * 255)
    record = minting.create_for_user(store, COMMAND_LINE, root.id, wish).record
    assert tokens.get(store, None, record.id).name == wish.name
    assert tokens.get(store, None, record.id).description == wish.description


def test_a_scope_given_twice_is_held_once(store: Store, root: UserRecord) -> None:
    assert make_token(store, root, ("api", "read_user", "api")).record.scopes == (
        "api",
        "read_user",
    )


def test_the_deployments_own_scopes_can_be_given(settings: Settings, clock: ManualClock) -> None:
    changed = dataclasses.replace(settings, extra_scopes=("deploy:prod",))
    with opened(changed, clock) as store:
        alice = make_user(store)
        secret = make_token(store, alice, ("deploy:prod", "api")).secret
        new = minting.create_for_self(store, origin_of(store, secret), _wish("deploy:prod"))
        assert new.record.scopes == ("deploy:prod",)
        without = origin_of(store, make_token(store, alice, ("api",)).secret)
        with pytest.raises(ScopesNotHeld):
            minting.create_for_self(store, without, _wish("deploy:prod"))


def _create_for_user(store: Store, secret: str, user: UserRecord, **how: str) -> None:
    minting.create_for_user(store, origin_of(store, secret, **how), user.id, _wish())


def _create_for_self(store: Store, secret: str, _user: UserRecord, **how: str) -> None:
    minting.create_for_self(store, origin_of(store, secret, **how), _wish())


def _rotate(store: Store, secret: str, user: UserRecord, **how: str) -> None:
    old = make_token(store, user)
    rotation.rotate(store, origin_of(store, secret, **how), old.record.id)


MINTING = pytest.mark.parametrize("verb", [_create_for_user, _create_for_self, _rotate])


@MINTING
def test_nothing_is_minted_under_sudo(store: Store, root: UserRecord, verb: object) -> None:
    alice = make_user(store)
    secret = make_token(store, root, ("api", "sudo")).secret
    with pytest.raises(Forbidden, match="Not allowed while using sudo"):
        verb(store, secret, alice, sudo="alice")


@MINTING
def test_an_impersonation_token_mints_nothing_whoever_owns_it(
    store: Store, root: UserRecord, verb: object
) -> None:
    for user in (root, make_user(store)):
        secret = make_token(store, user, ("api",), kind=TokenKind.IMPERSONATION).secret
        with pytest.raises(Forbidden):
            verb(store, secret, user)


@pytest.mark.parametrize(
    ("strike", "check"),
    [
        pytest.param(
            lambda s, user, token: tokens.revoke(s, COMMAND_LINE, token), Check.REVOKED, id="revoke"
        ),
        pytest.param(
            lambda s, user, _: user_states.block(s, COMMAND_LINE, user), Check.OWNER, id="block"
        ),
        pytest.param(
            lambda s, user, _: users.delete(s, COMMAND_LINE, user), Check.UNKNOWN, id="delete"
        ),
    ],
)
def test_what_was_decided_before_the_verb_is_decided_again_within_it(
    store: Store, root: UserRecord, strike: object, check: Check
) -> None:
    """The request was let in; in the same moment its token or its owner is taken away."""
    other = make_admin(store, "other")
    token = make_token(store, other)
    origin = origin_of(store, token.secret)
    strike(store, other.id, token.record.id)
    before = contents(store)
    for verb in (
        lambda: minting.create_for_self(store, origin, _wish()),
        lambda: minting.create_for_user(store, origin, root.id, _wish()),
        lambda: rotation.rotate(store, origin, token.record.id),
    ):
        with pytest.raises(Refused) as refused:
            verb()
        assert refused.value.refusal.check is check
    assert contents(store) == before


def test_a_confirmed_web_session_holds_all_that_its_user_may_hold(
    store: Store, root: UserRecord
) -> None:
    admin, user = _session(root), _session(make_user(store))
    new = minting.create_for_self(store, admin, _wish("api", "sudo", expires_on=LAST))
    assert (new.record.scopes, new.record.expires_on) == (("api", "sudo"), LAST)
    with pytest.raises(Invalid):
        minting.create_for_self(store, user, _wish("sudo"))
    rotated = rotation.rotate(store, admin, new.record.id, expires_on=LAST)
    assert rotated.record.expires_on == LAST
    with pytest.raises(NotFound):
        tokens.get_own(store, admin.caller)


def _session(user: UserRecord) -> Origin:
    facts = UserFacts(user.id, user.username, user.state, user.is_admin)
    return Origin(Caller(facts, facts, None, ()))


def test_the_command_line_is_nobody_who_could_have_a_token_of_his_own(store: Store) -> None:
    with pytest.raises(Forbidden):
        minting.create_for_self(store, COMMAND_LINE, _wish())


def test_a_demoted_admin_mints_for_nobody(store: Store, root: UserRecord) -> None:
    other = make_admin(store, "other")
    origin = origin_of(store, make_token(store, other).secret)
    user_states.demote(store, COMMAND_LINE, other.id)
    with pytest.raises(Forbidden):
        minting.create_for_user(store, origin, root.id, _wish())


def test_scopes_cut_from_the_calling_token_cannot_be_given_any_more(
    store: Store, root: UserRecord
) -> None:
    token = make_token(store, root, ("api",))
    origin = origin_of(store, token.secret)
    fewer = tokens.TokenChanges(scopes=("read_user",))
    tokens.change(store, COMMAND_LINE, token.record.id, fewer)
    with pytest.raises(ScopesNotHeld):
        minting.create_for_self(store, origin, _wish("read_api"))


def test_a_new_token_counts_at_once(store: Store, root: UserRecord) -> None:
    new = make_token(store, root, expires_on=TOMORROW)
    assert caller_of(store, new.secret).subject.username == "root"


def test_an_id_never_comes_back(store: Store, root: UserRecord) -> None:
    alice = make_user(store)
    last = make_token(store, alice).record.id
    users.delete(store, COMMAND_LINE, alice.id)
    successor = make_user(store)
    assert successor.id > alice.id
    assert make_token(store, successor).record.id > last
