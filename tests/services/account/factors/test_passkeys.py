from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from tests.authenticator import Authenticator
from tests.conftest import ManualClock
from tests.databases import opened
from tests.factories import current_of, make_session, make_user, origin_in
from tests.services.conftest import events_of
from tokensrv.clock import utcnow
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.errors import Forbidden, Invalid, NotFound
from tokensrv.models import Passkey
from tokensrv.services.account import second_factors, sessions
from tokensrv.services.account.factors import passkeys
from tokensrv.services.account.second_factors import FactorsChanged
from tokensrv.services.account.sessions import Current

ORIGIN = "https://tokens.example.org"


@pytest.fixture
def store(settings: Settings, clock: ManualClock) -> Iterator[Store]:
    with opened(replace(settings, external_url=f"{ORIGIN}/some/path"), clock) as store:
        yield store


@pytest.fixture
def alice(store: Store) -> Current:
    return current_of(store, make_session(store, make_user(store)))


@pytest.fixture
def device() -> Authenticator:
    return Authenticator(ORIGIN)


def add(store: Store, alice: Current, answer: str, name: str = "Laptop") -> FactorsChanged:
    return passkeys.add(store, origin_in(alice), alice, name, answer)


def ask_to_make(store: Store, alice: Current) -> str:
    return passkeys.creation_options(store, origin_in(alice), alice)


def added(store: Store, alice: Current, device: Authenticator) -> FactorsChanged:
    return add(store, alice, device.make(ask_to_make(store, alice)))


def take(store: Store, alice: Current, answer: str) -> bool:
    with store.write() as session:
        row = sessions.lock(session, store, alice.session.id)
        return passkeys.take(session, store, row, answer)


def ask_to_sign(store: Store, alice: Current) -> str:
    return passkeys.request_options(store, alice)


def test_a_device_is_asked_for_a_key_of_this_host(store: Store, alice: Current) -> None:
    options = json.loads(ask_to_make(store, alice))
    assert options["rp"] == {"id": "tokens.example.org", "name": "tokensrv"}
    assert options["user"]["name"] == "alice"
    assert options["attestation"] == "none"
    assert options["challenge"] != json.loads(ask_to_make(store, alice))["challenge"]


def test_a_passkey_is_added_and_signs(
    store: Store, clock: ManualClock, alice: Current, device: Authenticator
) -> None:
    changed = added(store, alice, device)
    assert len(changed.recovery_codes) == 10
    assert second_factors.get(store, alice.user.id).passkeys == 1
    clock.advance(seconds=60)
    assert take(store, alice, device.sign(ask_to_sign(store, alice)))
    (record,) = passkeys.list_of(store, alice.user.id)
    assert (record.name, record.last_used_at) == ("Laptop", utcnow(clock))
    assert [event.action for event in events_of(store)][-2:] == [
        "passkey.added",
        "recovery_codes.made",
    ]


@pytest.mark.parametrize(("length", "passkeys_after"), [(1023, 1), (1024, 0), (60_000, 0)])
def test_a_key_whose_name_is_too_long_is_none(
    store: Store, alice: Current, length: int, passkeys_after: int
) -> None:
    device = Authenticator(ORIGIN, id=secrets.token_bytes(length))
    with nullcontext() if passkeys_after else pytest.raises(Invalid):
        added(store, alice, device)
    assert second_factors.get(store, alice.user.id).passkeys == passkeys_after


def test_a_device_that_has_a_key_is_not_asked_for_another(
    store: Store, alice: Current, device: Authenticator
) -> None:
    added(store, alice, device)
    options = json.loads(ask_to_make(store, alice))
    assert [known["transports"] for known in options["excludeCredentials"]] == [["internal"]]
    with pytest.raises(Invalid):
        added(store, alice, device)


def test_a_second_passkey_brings_no_new_codes(store: Store, alice: Current) -> None:
    first = added(store, alice, Authenticator(ORIGIN))
    second = added(store, alice, Authenticator(ORIGIN))
    assert (len(first.recovery_codes), second.recovery_codes) == (10, ())


def test_a_key_of_somebody_else_does_not_count(
    store: Store, alice: Current, device: Authenticator
) -> None:
    bob = current_of(store, make_session(store, make_user(store, "bob")))
    added(store, alice, Authenticator(ORIGIN))
    added(store, bob, device)
    assert not take(store, alice, device.sign(ask_to_sign(store, alice)))
    with pytest.raises(Invalid):
        added(store, alice, device)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"origin": "https://example.org"}, id="another origin"),
        pytest.param({"origin": "http://tokens.example.org"}, id="without TLS"),
        pytest.param({"challenge": "AAAA"}, id="another challenge"),
        pytest.param({"type": "webauthn.other"}, id="another ceremony"),
    ],
)
def test_an_answer_to_something_else_is_refused(
    store: Store, alice: Current, device: Authenticator, said: dict[str, Any]
) -> None:
    with pytest.raises(Invalid, match="passkey"):
        add(store, alice, device.make(ask_to_make(store, alice), **said))
    added(store, alice, device)
    assert not take(store, alice, device.sign(ask_to_sign(store, alice), **said))


def _with(answer: str, member: str, value: Any) -> str:
    changed = json.loads(answer)
    changed["response"][member] = value
    return json.dumps(changed)


NONSENSE = [
    pytest.param(lambda answer: "", id="nothing"),
    pytest.param(lambda answer: "[]", id="no object"),
    pytest.param(lambda answer: "[" * 100_000, id="too deep"),
    pytest.param(lambda answer: answer[:-1], id="cut"),
    pytest.param(lambda answer: _with(answer, "clientDataJSON", "W10"), id="said nothing"),
    pytest.param(lambda answer: _with(answer, "clientDataJSON", 7), id="a number"),
]


@pytest.mark.parametrize(
    "spoil",
    [
        *NONSENSE,
        pytest.param(lambda answer: _with(answer, "attestationObject", "oA"), id="no attestation"),
    ],
)
def test_what_is_no_new_key_is_refused(
    store: Store, alice: Current, device: Authenticator, spoil: Callable[[str], str]
) -> None:
    with pytest.raises(Invalid, match="passkey"):
        add(store, alice, spoil(device.make(ask_to_make(store, alice))))


@pytest.mark.parametrize(
    "spoil",
    [
        *NONSENSE,
        pytest.param(lambda answer: _with(answer, "authenticatorData", "AAAA"), id="no data"),
        pytest.param(lambda answer: _with(answer, "signature", "AAAA"), id="no signature"),
    ],
)
def test_what_is_no_signature_is_refused(
    store: Store, alice: Current, device: Authenticator, spoil: Callable[[str], str]
) -> None:
    added(store, alice, device)
    assert not take(store, alice, spoil(device.sign(ask_to_sign(store, alice))))


def test_what_was_asked_counts_for_one_answer(
    store: Store, alice: Current, device: Authenticator
) -> None:
    made = device.make(ask_to_make(store, alice))
    with pytest.raises(Invalid):
        add(store, alice, "{}")
    with pytest.raises(Invalid):
        add(store, alice, made)
    added(store, alice, device)
    signed = device.sign(ask_to_sign(store, alice))
    assert not take(store, alice, "{}")
    assert not take(store, alice, signed)


def test_an_answer_cannot_be_used_again(
    store: Store, alice: Current, device: Authenticator
) -> None:
    added(store, alice, device)
    signed = device.sign(ask_to_sign(store, alice))
    assert take(store, alice, signed)
    assert not take(store, alice, signed)
    ask_to_sign(store, alice)
    assert not take(store, alice, signed)


def test_another_session_cannot_answer(store: Store, alice: Current, device: Authenticator) -> None:
    added(store, alice, device)
    other = current_of(store, make_session(store, alice.user))
    ask_to_sign(store, other)
    assert not take(store, other, device.sign(ask_to_sign(store, alice)))


def test_a_copy_of_a_key_is_found_by_its_count(
    store: Store, alice: Current, device: Authenticator
) -> None:
    added(store, alice, device)
    copy = replace(device)
    assert take(store, alice, device.sign(ask_to_sign(store, alice)))
    assert not take(store, alice, copy.sign(ask_to_sign(store, alice)))


def test_a_device_that_does_not_count_is_good_every_time(
    store: Store, alice: Current, device: Authenticator
) -> None:
    added(store, alice, device)
    for _ in range(2):
        device.count = -1
        assert take(store, alice, device.sign(ask_to_sign(store, alice)))


def test_a_device_need_not_know_its_user_beside_a_password(
    store: Store, alice: Current, device: Authenticator
) -> None:
    device.verifies_user = False
    added(store, alice, device)
    assert take(store, alice, device.sign(ask_to_sign(store, alice)))


def test_a_passkey_is_removed_with_the_codes_of_its_user(
    store: Store, alice: Current, device: Authenticator
) -> None:
    added(store, alice, device)
    (record,) = passkeys.list_of(store, alice.user.id)
    signed = device.sign(ask_to_sign(store, alice))
    passkeys.remove(store, origin_in(alice), alice, record.id)
    assert not take(store, alice, signed)
    assert second_factors.get(store, alice.user.id) == second_factors.SecondFactors(False, 0, 0)
    with pytest.raises(NotFound):
        passkeys.request_options(store, alice)


def test_nobody_removes_the_passkey_of_another(
    store: Store, alice: Current, device: Authenticator
) -> None:
    added(store, alice, device)
    (record,) = passkeys.list_of(store, alice.user.id)
    bob = current_of(store, make_session(store, make_user(store, "bob")))
    for passkey_id in (record.id, record.id + 1):
        with pytest.raises(NotFound):
            passkeys.remove(store, origin_in(bob), bob, passkey_id)


@pytest.mark.parametrize("name", ["", " ", "x" * 256, "a\0b"])
def test_a_passkey_needs_a_name(
    store: Store, alice: Current, device: Authenticator, name: str
) -> None:
    with pytest.raises(Invalid, match="name"):
        add(store, alice, device.make(ask_to_make(store, alice)), name)


def test_only_public_things_are_stored(store: Store, alice: Current, device: Authenticator) -> None:
    added(store, alice, device)
    with store.read() as session:
        row = session.scalars(select(Passkey)).one()
    private = device.key.private_numbers().private_value.to_bytes(32, "big")
    assert private not in row.public_key


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        pytest.param("https://tokens.example.org:443", ORIGIN, id="the usual port"),
        pytest.param("https://Tokens.example.org:8443", f"{ORIGIN}:8443", id="another port"),
        pytest.param("http://localhost:8000", "http://localhost:8000", id="this machine"),
    ],
)
def test_passkeys_are_of_the_address_from_outside(
    store: Store, alice: Current, url: str, origin: str
) -> None:
    store.settings = replace(store.settings, external_url=url)
    added(store, alice, Authenticator(origin))


@pytest.mark.parametrize(
    "url", ["http://tokens.example.org", "https://192.0.2.7", "http://127.0.0.1:8000"]
)
def test_elsewhere_browsers_allow_no_passkeys(store: Store, alice: Current, url: str) -> None:
    store.settings = replace(store.settings, external_url=url)
    assert not passkeys.is_possible(store)
    with pytest.raises(Forbidden):
        ask_to_make(store, alice)
