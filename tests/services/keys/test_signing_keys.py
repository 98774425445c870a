"""Signing keys: one for each algorithm, published before they sign and long afterwards."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from tests.conftest import START, ManualClock
from tests.databases import opened
from tests.services.conftest import at_once, contents, events_of, failing
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.errors import KeyUnavailable, StorageUnavailable
from tokensrv.models import SigningKey
from tokensrv.services.keys import key_pairs, signing_keys
from tokensrv.services.keys.key_pairs import ALGORITHMS
from tokensrv.services.keys.signing_keys import KEPT, LEAD, rotate, signer_for
from tokensrv.services.trail.events import COMMAND_LINE

TYPE = "example+jwt"
# RFC 7638 §3.2.
REQUIRED = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}


def signing(store: Store, alg: str = "RS256") -> str:
    """Return the id of the key that signs now."""
    return signer_for(store, COMMAND_LINE, alg).kid


def shown(store: Store) -> list[tuple[str, str]]:
    return [(record.kid, record.state) for record in signing_keys.list_keys(store)]


def public(store: Store) -> list[str]:
    return [key["kid"] for key in signing_keys.published(store)]


def advance(clock: ManualClock, by: timedelta) -> None:
    clock.advance(seconds=by.total_seconds())


@pytest.fixture
def stranger(store: Store) -> Store:
    """Another node of the same database, with a master key of its own."""
    settings = replace(store.settings, master_key=(Fernet.generate_key().decode(),))
    return Store(store.engine, store.clock, settings)


@pytest.mark.rfc7517("5")
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_what_is_signed_is_verified_with_what_is_published(store: Store, alg: str) -> None:
    signed = signer_for(store, COMMAND_LINE, alg).sign(TYPE, {"iss": "us", "nested": {"a": [1]}})
    keys = KeySet.import_key_set({"keys": signing_keys.published(store)})
    token = jwt.decode(signed, keys, algorithms=[alg])
    assert token.claims == {"iss": "us", "nested": {"a": [1]}}
    assert token.header == {"alg": alg, "typ": TYPE, "kid": signing(store, alg)}


@pytest.mark.rfc7638("3")
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_the_id_of_a_key_is_its_thumbprint(store: Store, alg: str) -> None:
    kid = signing(store, alg)
    (key,) = signing_keys.published(store)
    members = {name: key[name] for name in REQUIRED[key["kty"]]}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
    assert kid == key["kid"] == thumbprint


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_private_halves_are_stored_sealed_and_never_published(store: Store, alg: str) -> None:
    signer = signer_for(store, COMMAND_LINE, alg)
    secret = signer.key.as_dict(private=True)["d"]
    assert secret not in str(contents(store))
    assert secret not in repr(signer)
    (key,) = signing_keys.published(store)
    assert set(key) == {*REQUIRED[key["kty"]], "use", "alg", "kid"}
    assert (key["use"], key["alg"]) == ("sig", alg)


def test_a_key_is_made_when_its_algorithm_is_first_needed(store: Store) -> None:
    assert signing_keys.list_keys(store) == []
    kid = signing(store)
    assert signing(store) == kid
    assert shown(store) == [(kid, "signing")]
    (event,) = events_of(store)
    assert event.action == "key.created"
    told = {"alg": "RS256", "kid": kid, "purpose": "answers", "at_once": False, "via": "cli"}
    assert event.data == told


def test_nodes_that_need_it_at_once_make_one(settings: Settings, clock: ManualClock) -> None:
    with ExitStack() as stack:
        nodes = [stack.enter_context(opened(settings, clock)) for _ in range(4)]
        kids = at_once([lambda node=node: signing(node, "ES256") for node in nodes])
        assert len(set(kids)) == 1
        assert public(nodes[0]) == kids[:1]
        assert len(events_of(nodes[0])) == 1


def test_the_database_keeps_one_newest_key_for_each_algorithm(store: Store) -> None:
    signing(store)
    other = {"kid": "other", "alg": "RS256", "public_jwk": {}, "private_encrypted": ""}
    with store.write() as session:
        session.add(SigningKey(created_at=START, **other))
        with pytest.raises(IntegrityError):
            session.flush()
        session.rollback()


def test_a_new_key_is_published_at_once_and_signs_when_every_copy_has_it(
    store: Store, clock: ManualClock
) -> None:
    old = signing(store)
    first, second = rotate(store, COMMAND_LINE)
    assert (first.kid, first.state, first.retired_at) == (old, "signing", START + LEAD)
    assert (second.state, second.retired_at) == ("next", None)
    assert public(store) == [old, second.kid]
    advance(clock, LEAD - timedelta(milliseconds=1))
    assert signing(store) == old
    advance(clock, timedelta(milliseconds=1))
    assert signing(store) == second.kid
    assert shown(store) == [(old, "retired"), (second.kid, "signing")]
    assert [event.action for event in events_of(store)] == ["key.created", "key.rotated"]


def test_an_old_key_is_published_as_long_as_is_promised_and_then_removed(
    store: Store, clock: ManualClock
) -> None:
    old = signing(store)
    new = rotate(store, COMMAND_LINE)[1].kid
    advance(clock, LEAD + KEPT - timedelta(milliseconds=1))
    assert public(store) == [old, new]
    advance(clock, timedelta(milliseconds=1))
    assert public(store) == [new]
    assert shown(store) == [(old, "retired"), (new, "signing")]
    advance(clock, timedelta(milliseconds=1))
    rotate(store, COMMAND_LINE)
    assert [state for kid, state in shown(store)] == ["signing", "next"]


def test_a_second_rotation_in_a_hurry_changes_nothing_about_the_turns(
    store: Store, clock: ManualClock
) -> None:
    first = signing(store)
    second = rotate(store, COMMAND_LINE)[-1].kid
    advance(clock, timedelta(seconds=10))
    third = rotate(store, COMMAND_LINE)[-1].kid
    assert shown(store) == [(first, "signing"), (second, "next"), (third, "next")]
    advance(clock, LEAD - timedelta(seconds=10))
    assert signing(store) == second
    advance(clock, timedelta(seconds=10))
    assert signing(store) == third


def test_all_algorithms_that_are_in_use_are_rotated_and_no_other(store: Store) -> None:
    signing(store, "ES256")
    signing(store, "RS256")
    assert [record.alg for record in rotate(store, COMMAND_LINE)[2:]] == ["RS256", "ES256"]


def test_only_the_algorithms_that_are_named_are_rotated(store: Store) -> None:
    kid = signing(store)
    rotate(store, COMMAND_LINE, ("ES256",))
    found = [(record.alg, record.state) for record in signing_keys.list_keys(store)]
    assert found == [("RS256", "signing"), ("ES256", "signing")]
    assert signing(store) == kid


def test_without_any_key_rotation_makes_the_one_that_everybody_needs(store: Store) -> None:
    assert [record.alg for record in rotate(store, COMMAND_LINE)] == ["RS256"]


def test_a_key_that_leaked_is_gone_at_once(store: Store) -> None:
    other = signing(store, "ES256")
    signing(store)
    rotate(store, COMMAND_LINE, ("RS256",))
    (kept, new) = rotate(store, COMMAND_LINE, ("RS256",), at_once=True)
    assert (kept.kid, new.state) == (other, "signing")
    assert public(store) == [other, new.kid]
    assert signing(store) == new.kid
    assert events_of(store)[-1].data["at_once"] is True


REFUSED: dict[str, Callable[[Store], object]] = {
    "sign": signing,
    "sign by another algorithm": lambda store: signing(store, "ES256"),
    "rotate": lambda store: rotate(store, COMMAND_LINE),
    "rotate another algorithm": lambda store: rotate(store, COMMAND_LINE, ("Ed25519",)),
}


@pytest.mark.parametrize("verb", list(REFUSED))
def test_a_node_with_another_master_key_neither_signs_nor_makes_keys(
    store: Store, stranger: Store, verb: str
) -> None:
    signing(store)
    before = contents(store)
    with pytest.raises(KeyUnavailable, match="another master key"):
        REFUSED[verb](stranger)
    assert contents(store) == before


@pytest.mark.parametrize("verb", list(REFUSED))
def test_a_node_without_the_master_key_makes_none_that_the_others_do_not_have(
    store: Store, verb: str
) -> None:
    signing(store)
    store.settings.master_key_path.unlink()
    # What it has opened once it knows; another process does not.
    key_pairs._private.cache_clear()  # noqa: SLF001  # there is no other process here
    with pytest.raises(KeyUnavailable, match="is missing"):
        REFUSED[verb](store)
    assert not store.settings.master_key_path.exists()


def test_a_node_says_why_it_cannot_sign(store: Store, stranger: Store) -> None:
    assert signing_keys.problem(stranger) is None
    signing(store)
    assert signing_keys.problem(store) is None
    assert "another master key" in str(signing_keys.problem(stranger))


def test_a_lost_master_key_is_overcome_by_new_keys(store: Store, stranger: Store) -> None:
    signing(store, "ES256")
    signing(store)
    assert len(rotate(stranger, COMMAND_LINE, at_once=True)) == 2
    assert signing_keys.problem(stranger) is None
    assert signing(stranger) in public(store)


def test_the_master_key_is_replaced_by_giving_both_and_rotating(
    store: Store, clock: ManualClock
) -> None:
    new = Fernet.generate_key().decode()

    def node(*keys: str) -> Store:
        return Store(store.engine, store.clock, replace(store.settings, master_key=keys))

    old = Fernet.generate_key().decode()
    signing(node(old))
    rotate(node(new, old), COMMAND_LINE)
    # The old key signs until then.
    assert "another master key" in str(signing_keys.problem(node(new)))
    advance(clock, LEAD)
    assert signing_keys.problem(node(new)) is None
    assert signing(node(new)) == public(store)[1]


def test_without_its_event_there_is_no_key(store: Store) -> None:
    with failing(store, "INSERT INTO event "), pytest.raises(StorageUnavailable):
        signing(store)
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(SigningKey)) == 0
