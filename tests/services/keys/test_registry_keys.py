"""Keys for container registries: apart from all others, and named as registries name them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.conftest import START, ManualClock
from tests.services.conftest import contents, events_of
from tokensrv.db import Store
from tokensrv.errors import KeyUnavailable
from tokensrv.services.keys import registry_keys, signing_keys
from tokensrv.services.keys.signing_keys import DEFAULT_ALGORITHM, signer_for
from tokensrv.services.trail.events import COMMAND_LINE

DAY = timedelta(days=1)
# A key and the name that Docker's libtrust gives to it, worked out with OpenSSL and coreutils:
# openssl pkey -pubin -outform DER | sha256sum | head -c 60 | xxd -r -p | base32
PUBLIC = {
    "kty": "RSA",
    "e": "AQAB",
    "n": "06yzrERr49IVRTUvFmsXZIwRCp5JKJJPcHumg4JqjoZ0gGYxGu1OD9qSyAbaajFpJZM_HV0095f-0QJSTyCiI"
    "GZecY_mC5Gm3z6SgiTwmqw2xoZds3m9jJUnH12cMgvEdQg6zubKeuzhbKEqhhzNfOtTKoQdCONLLJ-Nq6rp_9oJGfyLz"
    "xYY3PvTDthxunDEp5F2YAWpxDAYZQT4-3LkCi5WXy2HdSL_Y0msTUu7bh3LuRfqMFoD4Buj0D4sMn7WYBXxPzv2tTWL_"
    "tU5iYHByDgY-b1FSqrNAbUec6f5rt8K8E6lX2qtmkm-rdHJXEHftbCQdbLtkvBmcNDVVaEXRw",
}
NAME = "7H3Y:PNSG:WL5I:LRMH:5D4A:MK34:3IRD:B2QO:UJID:RZ3M:I4NU:4EEO"


def signing(store: Store) -> str:
    return registry_keys.signer(store, COMMAND_LINE).kid


def public(store: Store) -> list[str]:
    return [key["kid"] for key in registry_keys.key_set(store)["keys"]]


def certificates(store: Store) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(registry_keys.certificates(store).encode())


def test_a_key_has_the_name_by_which_registries_know_it() -> None:
    assert registry_keys.key_id(RSAKey.import_key(PUBLIC)) == NAME


def test_what_is_signed_is_verified_with_what_a_registry_is_given(store: Store) -> None:
    signed = registry_keys.signer(store, COMMAND_LINE).sign("JWT", {"iss": "us"})
    keys = KeySet.import_key_set(registry_keys.key_set(store))
    token = jwt.decode(signed, keys, algorithms=["RS256"])
    assert token.claims == {"iss": "us"}
    assert token.header == {"alg": "RS256", "typ": "JWT", "kid": signing(store)}
    assert len(signing(store)) == 59


def test_a_certificate_is_of_the_key_and_by_it(store: Store) -> None:
    signer = registry_keys.signer(store, COMMAND_LINE)
    (certificate,) = certificates(store)
    key = certificate.public_key()
    assert isinstance(key, RSAPublicKey)
    assert registry_keys.key_id(RSAKey.import_key(key)) == signer.kid
    signed = certificate.tbs_certificate_bytes
    key.verify(certificate.signature, signed, PKCS1v15(), SHA256())
    assert certificate.not_valid_before_utc == START
    assert certificate.not_valid_after_utc > START + 365 * 50 * DAY


def test_a_certificate_is_each_time_the_same(store: Store, clock: ManualClock) -> None:
    signing(store)
    before = registry_keys.certificates(store)
    clock.advance(seconds=DAY.total_seconds())
    assert registry_keys.certificates(store) == before


def test_keys_of_the_two_purposes_know_nothing_of_each_other(store: Store) -> None:
    answering = signer_for(store, COMMAND_LINE, DEFAULT_ALGORITHM).kid
    for_registries = signing(store)
    assert [key["kid"] for key in signing_keys.published(store)] == [answering]
    assert [record.kid for record in signing_keys.list_keys(store)] == [answering]
    assert public(store) == [for_registries]
    signing_keys.rotate(store, COMMAND_LINE, at_once=True)
    assert (signing(store), public(store)) == (for_registries, [for_registries])
    answering = signer_for(store, COMMAND_LINE, DEFAULT_ALGORITHM).kid
    registry_keys.rotate(store, COMMAND_LINE, at_once=True)
    assert signer_for(store, COMMAND_LINE, DEFAULT_ALGORITHM).kid == answering


def test_a_new_key_is_given_out_a_day_before_it_signs(store: Store, clock: ManualClock) -> None:
    old = signing(store)
    registry_keys.rotate(store, COMMAND_LINE)
    new = public(store)[1]
    assert len(certificates(store)) == 2
    clock.advance(seconds=DAY.total_seconds() - 0.001)
    assert signing(store) == old
    clock.advance(seconds=0.001)
    assert signing(store) == new
    # As long as something that it signed may live.
    clock.advance(seconds=3599)
    assert public(store) == [old, new]
    clock.advance(seconds=1)
    assert public(store) == [new]


def test_a_key_that_leaked_is_gone_at_once(store: Store) -> None:
    old = signing(store)
    registry_keys.rotate(store, COMMAND_LINE, at_once=True)
    assert public(store) == [signing(store)] != [old]
    made, rotated = events_of(store)
    assert (made.action, rotated.action) == ("key.created", "key.rotated")
    told = {"alg": "RS256", "purpose": "registry", "at_once": True, "via": "cli"}
    assert rotated.data == told | {"kid": signing(store)}


@pytest.fixture
def stranger(store: Store) -> Store:
    """Another node of the same database, with a master key of its own."""
    settings = replace(store.settings, master_key=(Fernet.generate_key().decode(),))
    return Store(store.engine, store.clock, settings)


def test_a_node_with_another_master_key_neither_signs_nor_certifies(
    store: Store, stranger: Store
) -> None:
    signing(store)
    before = contents(store)
    for verb in (signing, certificates, lambda node: registry_keys.rotate(node, COMMAND_LINE)):
        with pytest.raises(KeyUnavailable, match="another master key"):
            verb(stranger)
    assert contents(store) == before
    assert "another master key" in str(signing_keys.problem(stranger))
    # What is public needs no key.
    assert public(stranger) == public(store)
