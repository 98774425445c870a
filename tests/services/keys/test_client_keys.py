from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.keys import key_for, public
from tokensrv.errors import Invalid
from tokensrv.services.keys import client_keys

GOOD = key_for("ES256").as_dict(private=False)


def refusal(jwks: object) -> str:
    with pytest.raises(Invalid) as refused:
        client_keys.checked(jwks)
    assert refused.value.field == "jwks"
    return refused.value.problem


@pytest.mark.rfc7517("5")
@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES384", "ES512", "Ed25519"])
def test_a_public_key_of_each_kind_is_kept_as_it_is(alg: str) -> None:
    jwks = public(key_for(alg))
    jwks["keys"][0] |= {"kid": "one", "use": "sig", "alg": alg}
    assert client_keys.checked(jwks) == jwks


def test_a_set_a_key_and_their_texts_are_the_same() -> None:
    expected = {"keys": [GOOD]}
    for given_as in (expected, GOOD, json.dumps(expected), json.dumps(GOOD)):
        assert client_keys.checked(given_as) == expected


@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES384", "ES512", "Ed25519"])
def test_a_public_key_in_pem_is_read(alg: str) -> None:
    key = key_for(alg)
    found = client_keys.checked(f"\n{key.as_pem(private=False).decode()}\n")
    assert client_keys.thumbprints(found) == [key.thumbprint()]


@pytest.mark.parametrize("alg", ["RS256", "ES256", "Ed25519", "HS256"])
def test_a_private_or_shared_key_is_refused_and_not_repeated(alg: str) -> None:
    key = key_for(alg).as_dict(private=True)
    problem = refusal({"keys": [key]})
    assert problem == "holds a private or a shared key; give the public half alone"


@pytest.mark.parametrize("alg", ["RS256", "ES256", "Ed25519"])
def test_a_private_key_in_pem_is_refused(alg: str) -> None:
    pem = key_for(alg).as_pem(private=True).decode()
    assert "private" in refusal(pem)


def test_members_that_are_about_nothing_here_are_dropped() -> None:
    more = {"x5c": ["MIIB"], "key_ops": ["verify"], "ext": True, "note": {"a": 1}}
    assert client_keys.checked({"keys": [GOOD | more], "more": 1}) == {"keys": [GOOD]}


@pytest.mark.rfc7517("4.5")
def test_a_kid_may_be_there_once() -> None:
    keys = [key_for("ES256", number).as_dict(private=False) | {"kid": "a"} for number in (0, 1)]
    assert refusal({"keys": keys}) == "has the same kid twice"
    keys[1] |= {"kid": "b"}
    assert len(client_keys.checked({"keys": keys})["keys"]) == 2


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(RSAKey.generate_key(2048).as_dict(private=False) | {"n": "AQAB"}, id="short"),
        pytest.param({"kty": "RSA", "n": "_" * 683, "e": "AQAB"}, id="4097 bits and more"),
        pytest.param(ECKey.generate_key("secp256k1").as_dict(private=False), id="secp256k1"),
        pytest.param(OKPKey.generate_key("Ed448").as_dict(private=False), id="Ed448"),
        pytest.param(OKPKey.generate_key("X25519").as_dict(private=False), id="X25519"),
        pytest.param(GOOD | {"kty": "AKP"}, id="an unknown kind"),
        pytest.param(GOOD | {"crv": "P-384"}, id="a curve that is not its own"),
        pytest.param(GOOD | {"x": GOOD["y"]}, id="a point off the curve"),
        pytest.param({"kty": "EC", "crv": "P-256", "x": GOOD["x"]}, id="half a point"),
        pytest.param({"kty": "RSA", "e": "AQAB"}, id="no modulus"),
        pytest.param({"kty": "RSA", "n": "!" * 400, "e": "AQAB"}, id="no base64"),
        pytest.param(GOOD | {"x": 1}, id="a number"),
        pytest.param(GOOD | {"kid": ["a"]}, id="a kid that is no text"),
        pytest.param({"kty": "OKP", "crv": "Ed25519", "x": "AA"}, id="31 bytes missing"),
    ],
)
def test_a_key_that_is_none_or_too_weak_is_refused(key: dict[str, Any]) -> None:
    assert refusal({"keys": [key]}).startswith("holds a key that is not supported")


@pytest.mark.parametrize(
    ("about", "problem"),
    [
        pytest.param({"use": "enc"}, "holds a key that is not for signatures", id="use"),
        pytest.param({"alg": "ES384"}, "names an alg that does not fit its key", id="curve"),
        pytest.param({"alg": "HS256"}, "names an alg that does not fit its key", id="symmetric"),
        pytest.param({"alg": "none"}, "names an alg that does not fit its key", id="none"),
        pytest.param({"kid": ""}, "is invalid", id="blank kid"),
        pytest.param({"kid": "a\0"}, "is invalid", id="NUL in the kid"),
        pytest.param({"kid": "a" * 256}, "is invalid", id="long kid"),
    ],
)
def test_what_a_key_says_about_itself_must_fit(about: dict[str, str], problem: str) -> None:
    assert refusal({"keys": [GOOD | about]}) == problem


@pytest.mark.parametrize(
    "jwks",
    [
        {},
        [],
        7,
        True,
        {"keys": {}},
        {"keys": []},
        {"keys": [GOOD] * 11},
        {"keys": [7]},
        {"keys": [[]]},
        {"keys": [{}]},
        {"keys": [{"kty": 7}]},
        "",
        "null",
        "[" * 100_000,
        "no JSON",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        "-----BEGIN NONSENSE-----",
    ],
    # Keys are made anew in each process.
    ids=lambda jwks: str(jwks)[:20],
)
def test_what_is_no_set_of_keys_is_refused(jwks: object) -> None:
    assert refusal(jwks)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["keys", "kty", "crv", "x", "y", "n", "e", "d", "kid", "use"])
            | st.text(),
            inner | st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "Ed25519"]),
            max_size=5,
        )
    ),
)


@given(json_values)
def test_hostile_keys_are_refused_and_never_a_fault(jwks: object) -> None:
    with pytest.raises(Invalid):
        client_keys.checked({"keys": [jwks]})
    if not isinstance(jwks, dict):
        refusal(jwks)
