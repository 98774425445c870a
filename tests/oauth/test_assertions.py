"""RFC 7523: clients that sign who they are, and everybody who only looks as if he did."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import Key, OctKey
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from tests.conftest import QueryRecorder
from tests.factories import make_client
from tests.keys import claims_of, key_for, public, signed
from tests.oauth.conftest import World, basic
from tests.oauth.test_introspect_requests import assert_invalid, assert_refused
from tokensrv.app import create_app
from tokensrv.config import Settings
from tokensrv.errors import StorageUnavailable
from tokensrv.models import Assertion
from tokensrv.services.directory import clients
from tokensrv.services.directory.client_values import ClientValues
from tokensrv.services.keys.client_keys import ALGORITHMS
from tokensrv.services.trail.events import COMMAND_LINE

PATH = "/oauth/introspect"
ISSUER = "http://127.0.0.1:8000"
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY = key_for("ES256")


class Signing:
    """A service that has keys and no secret."""

    def __init__(self, world: World, *keys: Key, **wanted: Any) -> None:
        self.world = world
        self.key = keys[0]
        new = make_client(world.store, jwks=public(*keys), **wanted)
        self.client_id = new.record.client_id

    def claims(self, **changed: Any) -> dict[str, Any]:
        return claims_of(self.client_id, self.world.clock, **changed)

    def assertion(
        self, alg: str = "ES256", header: dict[str, Any] | None = None, **changed: Any
    ) -> str:
        return signed(self.claims(**changed), self.key, alg, header)

    def ask(self, assertion: str, path: str = PATH, **more: Any) -> TestResponse:
        """Return the answer about alice's token."""
        form = {
            "token": self.world.alice_token.secret,
            "client_assertion_type": TYPE,
            "client_assertion": assertion,
        }
        headers = more.pop("headers", {})
        return self.world.http.post(path, data=form | more, headers=headers)


@pytest.fixture
def signing(world: World) -> Signing:
    return Signing(world, KEY)


def is_active(answer: TestResponse) -> bool:
    assert answer.status_code == 200, answer.text
    return bool(answer.get_json()["active"])


@pytest.mark.rfc7523("2.2")
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_client_authenticates_with_a_key_of_its_own(world: World, alg: str) -> None:
    signing = Signing(world, key_for(alg))
    answer = signing.ask(signing.assertion(alg))
    assert is_active(answer)
    assert answer.get_json()["client_id"] == signing.client_id


@pytest.mark.rfc7523("3")
@pytest.mark.parametrize(
    "audience",
    [ISSUER, [ISSUER], f"{ISSUER}{PATH}", [f"{ISSUER}{PATH}"]],
    ids=["issuer", "issuer in an array", "endpoint", "endpoint in an array"],
)
def test_the_audience_is_the_issuer_or_the_endpoint(signing: Signing, audience: object) -> None:
    assert is_active(signing.ask(signing.assertion(aud=audience)))


@pytest.mark.rfc7523("3")
@pytest.mark.parametrize(
    "audience",
    [
        pytest.param([ISSUER, "https://other.example"], id="another one beside it"),
        pytest.param([ISSUER, ISSUER], id="twice"),
        pytest.param([f"{ISSUER}{PATH}", ISSUER], id="both"),
        pytest.param([], id="none"),
        pytest.param("", id="blank"),
        pytest.param(f"{ISSUER}/", id="a slash more"),
        pytest.param(f"{ISSUER}/oauth/revoke", id="another endpoint"),
        pytest.param(f"{ISSUER}{PATH}?", id="a query"),
        pytest.param("https://evil.example", id="another server"),
        pytest.param({"a": ISSUER}, id="an object"),
        pytest.param([[ISSUER]], id="nested"),
        pytest.param(7, id="a number"),
        pytest.param(None, id="left out"),
    ],
)
def test_any_other_audience_is_refused(signing: Signing, audience: object) -> None:
    assert_refused(signing.ask(signing.assertion(aud=audience)))


@pytest.mark.rfc7523("3")
def test_the_host_header_is_no_audience(signing: Signing) -> None:
    headers = {"Host": "evil.example"}
    for audience in ("http://evil.example", f"http://evil.example{PATH}"):
        assert_refused(signing.ask(signing.assertion(aud=audience), headers=headers))
    assert is_active(signing.ask(signing.assertion(aud=ISSUER), headers=headers))


@pytest.mark.rfc7523("3")
@pytest.mark.parametrize(
    ("exp", "is_good"),
    [
        pytest.param(-30, False, id="half a minute ago"),
        pytest.param(-29, True, id="less than half a minute ago"),
        pytest.param(1, True, id="soon"),
        pytest.param(3630, True, id="in an hour and half a minute"),
        pytest.param(3631, False, id="later than that"),
        pytest.param(10**20, False, id="at the end of time"),
        pytest.param(0.5, True, id="a fraction"),
    ],
)
def test_an_assertion_lasts_an_hour_at_most(signing: Signing, exp: float, is_good: bool) -> None:
    now = signing.world.clock.now_ms() // 1000
    answer = signing.ask(signing.assertion(exp=now + exp))
    assert is_active(answer) if is_good else assert_refused(answer) is None


@pytest.mark.rfc7523("3")
@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize(("ahead", "is_good"), [(30, True), (31, False)])
def test_a_clock_may_be_half_a_minute_ahead(
    signing: Signing, name: str, ahead: int, is_good: bool
) -> None:
    now = signing.world.clock.now_ms() // 1000
    answer = signing.ask(signing.assertion(**{name: now + ahead}))
    assert is_active(answer) if is_good else assert_refused(answer) is None


def test_neither_the_time_of_issue_nor_a_beginning_is_required(signing: Signing) -> None:
    assert is_active(signing.ask(signing.assertion(iat=None)))


BAD_CLAIMS = [
    pytest.param({"iss": "somebody"}, id="another issuer"),
    pytest.param({"iss": None}, id="no issuer"),
    pytest.param({"iss": ["x"]}, id="an issuer that is no text"),
    pytest.param({"sub": "somebody"}, id="an unknown subject"),
    pytest.param({"sub": None}, id="no subject"),
    pytest.param({"sub": 7}, id="a subject that is no text"),
    pytest.param({"sub": "a\0b", "iss": "a\0b"}, id="NUL in the subject"),
    pytest.param({"sub": "\ud800", "iss": "\ud800"}, id="half a letter in the subject"),
    pytest.param({"exp": None}, id="no end"),
    pytest.param({"exp": "soon"}, id="an end that is no number"),
    pytest.param({"exp": True}, id="an end that is true"),
    pytest.param({"exp": float("nan")}, id="an end that is no number at all"),
    pytest.param({"exp": float("inf")}, id="an end without end"),
    pytest.param({"exp": 10**400}, id="an end beyond all floats"),
    pytest.param({"exp": [1]}, id="an end in an array"),
    pytest.param({"nbf": "x"}, id="a beginning that is no number"),
    pytest.param({"nbf": float("nan")}, id="a beginning that is no number at all"),
    pytest.param({"iat": {}}, id="a time of issue that is no number"),
    pytest.param({"jti": None}, id="no id"),
    pytest.param({"jti": ""}, id="a blank id"),
    pytest.param({"jti": 7}, id="an id that is no text"),
    pytest.param({"jti": "a\0"}, id="NUL in the id"),
    pytest.param({"jti": "\ud800"}, id="half a letter in the id"),
]


@pytest.mark.rfc7523("3")
@pytest.mark.parametrize("changed", BAD_CLAIMS)
def test_an_assertion_with_a_wrong_claim_is_refused(
    signing: Signing, changed: dict[str, Any]
) -> None:
    assert_refused(signing.ask(signing.assertion(**changed)))


@pytest.mark.rfc7523("3")
def test_an_assertion_is_good_once(signing: Signing) -> None:
    assertion = signing.assertion()
    assert is_active(signing.ask(assertion))
    assert_refused(signing.ask(assertion))
    assert_refused(signing.ask(signing.assertion(exp=signing.claims()["exp"] + 1)))
    assert is_active(signing.ask(signing.assertion(jti="assertion-2")))


def test_an_assertion_that_cannot_be_remembered_is_not_accepted(
    signing: Signing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise StorageUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(signing.world.store, "write", away)
        answer = signing.ask(signing.assertion())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.get_json() == {"error": "temporarily_unavailable"}
    assert is_active(signing.ask(signing.assertion()))


@pytest.mark.rfc7523("3")
def test_an_assertion_is_good_once_on_all_nodes_and_endpoints(
    signing: Signing, settings: Settings
) -> None:
    other = create_app(settings, signing.world.clock)
    try:
        assertion = signing.assertion()
        assert is_active(signing.ask(assertion))
        elsewhere = replace(signing.world, http=other.test_client())
        signing.world = elsewhere
        assert_refused(signing.ask(assertion))
        assert_refused(signing.ask(assertion, "/oauth/revoke"))
    finally:
        other.extensions["tokensrv_usage"].close()
        other.extensions["tokensrv"].close()


def test_an_assertion_that_is_refused_is_not_remembered(signing: Signing) -> None:
    assert_refused(signing.ask(signing.assertion(aud="https://evil.example")))
    assert_refused(signing.ask(signed(signing.claims(), key_for("ES256", 1), "ES256")))
    with signing.world.store.read() as session:
        assert session.scalar(select(func.count()).select_from(Assertion)) == 0
    assert is_active(signing.ask(signing.assertion()))


def test_a_key_that_is_not_the_clients_is_refused(signing: Signing) -> None:
    stranger = key_for("ES256", 1)
    assert_refused(signing.ask(signed(signing.claims(), stranger, "ES256")))
    kid = {"kid": KEY.thumbprint()}
    assert_refused(signing.ask(signed(signing.claims(), stranger, "ES256", kid)))
    embedded = {"jwk": stranger.as_dict(private=False)}
    assert_refused(signing.ask(signed(signing.claims(), stranger, "ES256", embedded)))


def test_a_key_of_another_client_is_refused(world: World, signing: Signing) -> None:
    other = Signing(world, key_for("ES256", 1))
    assert_refused(signing.ask(signed(other.claims(), signing.key, "ES256")))


@pytest.mark.parametrize("header", [None, {"kid": "unknown"}, {"kid": KEY.thumbprint()}])
def test_while_keys_are_changed_either_signs_whatever_the_key_id(
    world: World, header: dict[str, Any] | None
) -> None:
    signing = Signing(world, key_for("RS256"), key_for("ES256", 1), KEY)
    for number, (key, alg) in enumerate([(KEY, "ES256"), (key_for("RS256"), "PS256")]):
        claims = signing.claims(jti=f"{number}")
        assert is_active(signing.ask(signed(claims, key, alg, header)))


@pytest.mark.rfc7517("4.4")
def test_a_key_may_be_pinned_to_one_algorithm(world: World) -> None:
    jwks = public(key_for("RS256"))
    jwks["keys"][0]["alg"] = "PS256"
    signing = Signing(world, key_for("RS256"))
    clients.change(world.store, COMMAND_LINE, signing.client_id, ClientValues(jwks=jwks))
    assert_refused(signing.ask(signing.assertion("RS256")))
    assert is_active(signing.ask(signing.assertion("PS256")))


def test_a_key_that_was_taken_away_signs_nothing_any_more(world: World, signing: Signing) -> None:
    assert is_active(signing.ask(signing.assertion()))
    changed = ClientValues(jwks=public(key_for("ES256", 1)))
    clients.change(world.store, COMMAND_LINE, signing.client_id, changed)
    assert_refused(signing.ask(signing.assertion(jti="2")))


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.rfc7523("3")
def test_an_assertion_without_a_signature_is_refused(signing: Signing) -> None:
    header, payload, _ = signing.assertion().split(".")
    assert_refused(signing.ask(f"{header}.{payload}."))
    assert_refused(signing.ask(f"{part({'alg': 'none'})}.{payload}."))


def test_a_public_key_is_no_shared_secret(signing: Signing) -> None:
    # By hand, because no library would do it.
    for shared in (KEY.as_pem(private=False), json.dumps(KEY.as_dict(private=False)).encode()):
        signed_part = f"{part({'alg': 'HS256'})}.{part(signing.claims())}"
        mac = hmac.digest(shared, signed_part.encode(), "sha256")
        assert_refused(signing.ask(f"{signed_part}.{part(mac)}"))


def test_the_secret_of_a_client_is_no_key(world: World) -> None:
    claims = claims_of(world.service.client_id, world.clock)
    key = OctKey.import_key(world.service.secret)
    signing = Signing(world, KEY)
    assert_refused(signing.ask(signed(claims, key, "HS256")))


def test_a_client_without_keys_signs_nothing(world: World, signing: Signing) -> None:
    claims = claims_of(world.service.client_id, world.clock)
    assert_refused(signing.ask(signed(claims, KEY, "ES256")))


def test_a_disabled_client_is_refused_and_its_assertion_stays_unused(
    world: World, signing: Signing
) -> None:
    assertion = signing.assertion()
    clients.disable(world.store, COMMAND_LINE, signing.client_id)
    assert_refused(signing.ask(assertion))
    clients.enable(world.store, COMMAND_LINE, signing.client_id)
    assert is_active(signing.ask(assertion))


def test_a_client_that_may_not_sign_is_refused_whatever_keys_it_has(world: World) -> None:
    signing = Signing(world, KEY, auth_methods=("client_secret_basic",))
    assert_refused(signing.ask(signing.assertion()))


@pytest.mark.rfc7521("4.2")
def test_the_form_may_name_the_same_client_and_no_other(world: World, signing: Signing) -> None:
    assert is_active(signing.ask(signing.assertion(), client_id=signing.client_id))
    assert is_active(signing.ask(signing.assertion(jti="2"), client_id=""))
    other = world.service.client_id
    assert_refused(signing.ask(signing.assertion(jti="3"), client_id=other))


@pytest.mark.rfc7521("4.2")
@pytest.mark.parametrize(
    "kind",
    ["", "jwt-bearer", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", TYPE.upper()],
)
def test_an_assertion_of_another_type_is_refused(signing: Signing, kind: str) -> None:
    assert_refused(signing.ask(signing.assertion(), client_assertion_type=kind))


@pytest.mark.rfc6749("2.3")
def test_an_assertion_beside_another_method_is_two_methods(world: World, signing: Signing) -> None:
    service = world.service
    header = {"Authorization": basic(service.client_id, service.secret)}
    assert_invalid(signing.ask(signing.assertion(), headers=header))
    bearer = {"Authorization": f"Bearer {world.admin_token.secret}"}
    assert_invalid(signing.ask(signing.assertion(), headers=bearer))
    secret = {"client_id": service.client_id, "client_secret": service.secret}
    assert_invalid(signing.ask(signing.assertion(), **secret))


@pytest.mark.rfc7662("4")
def test_an_assertion_in_the_url_is_refused(signing: Signing) -> None:
    assert_invalid(signing.ask("", f"{PATH}?client_assertion={signing.assertion()}"))


def test_the_client_and_the_token_come_in_one_statement(
    signing: Signing, query_recorder: QueryRecorder
) -> None:
    assertion = signing.assertion()
    query_recorder.clear()
    assert is_active(signing.ask(assertion))
    reads = [sent for sent in query_recorder.selects if "FROM client" in sent]
    assert len(reads) == 1


def test_a_signing_client_asks_about_many_tokens_at_once(world: World) -> None:
    signing = Signing(world, KEY, allow=("batch",))
    path = "/oauth/introspect/batch"
    members = {
        "tokens": [world.alice_token.secret, "unknown"],
        "client_assertion_type": TYPE,
        "client_assertion": signing.assertion(aud=f"{ISSUER}{path}"),
    }
    answer = world.http.post(path, json=members)
    assert [one["active"] for one in answer.get_json()["results"]] == [True, False]
    assert_refused(world.http.post(path, json=members))


def test_a_signing_client_exchanges_tokens(world: World) -> None:
    signing = Signing(world, KEY, allow=("exchange",))
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": world.alice_token.secret,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    audience = f"{ISSUER}/oauth/token"
    answer = signing.ask(signing.assertion(aud=audience), "/oauth/token", **form)
    assert (answer.status_code, answer.get_json()["token_type"]) == (200, "Bearer")
    assert_refused(signing.ask(signing.assertion(aud=audience), "/oauth/token", **form))


def test_a_signing_client_revokes_what_it_may(world: World) -> None:
    signing = Signing(world, KEY, allow=("revoke",))
    audience = f"{ISSUER}/oauth/revoke"
    answer = signing.ask(signing.assertion(aud=audience), "/oauth/revoke")
    assert answer.status_code == 200
    assert not is_active(signing.ask(signing.assertion(jti="2")))


def hostile_assertions() -> list[str]:
    good = part({"alg": "ES256"})
    return [
        "x",
        "..",
        "...",
        "a.b.c",
        "a.b.c.d.e",
        "." * 1000,
        f"{good}.{part({})}.",
        f"{good}.{part([])}.AA",
        f"{good}.{part(7)}.AA",
        f"{good}.{part(None)}.AA",
        f"{good}.{part('sub')}.AA",
        f"{good}.{part({'sub': None})}.AA",
        f"{good}.{part(b'[' * 45_000)}.AA",
        f"{good}.{part(bytes(range(256)))}.AA",
        f"{part([])}.{part({'sub': 'x'})}.AA",
        f"{part(['alg'])}.{part({'sub': 'x'})}.AA",
        f"{part('alg')}.{part({'sub': 'x'})}.AA",
        f"{part({})}.{part({'sub': 'x'})}.AA",
        f"{part({'alg': None})}.{part({'sub': 'x'})}.AA",
        f"{part({'alg': 'ES256', 'crit': 7})}.{part({'sub': 'x'})}.AA",
        f"{part({'alg': 'ES256', 'b64': 7})}.{part({'sub': 'x'})}.AA",
        f"{part({'alg': 'ES256', 'x': 'y' * 600})}.{part({'sub': 'x'})}.AA",
        "\ufffd.\ufffd.\ufffd",
        "ä.ö.ü",
    ]


@pytest.mark.parametrize("assertion", hostile_assertions(), ids=lambda text: text[:20])
def test_a_hostile_assertion_is_refused_like_any_other(signing: Signing, assertion: str) -> None:
    assert_refused(signing.ask(assertion))


HOSTILE_HEADERS: list[Any] = [
    [],
    ["alg"],
    "alg",
    {"alg": ["ES256"]},
    {"alg": {"a": 1}},
    {"alg": "ES256", "crit": 7},
    {"alg": "ES256", "crit": ["exp"]},
    {"alg": "ES256", "crit": [{}]},
    {"alg": "ES256", "crit": ["b64"], "b64": False},
    {"alg": "ES256", "b64": False},
    {"alg": "ES256", "b64": "x"},
    {"alg": "ES256", "kid": []},
    {"alg": "ES256", "kid": {}},
    {"alg": "ES256", "jwk": 7},
    {"alg": "ES256", "typ": 7},
    {"alg": "RS256"},
    {"alg": "dir", "enc": "A128GCM"},
]


@pytest.mark.parametrize("header", HOSTILE_HEADERS, ids=json.dumps)
def test_a_hostile_header_before_good_claims_is_refused(signing: Signing, header: object) -> None:
    _, payload, signature = signing.assertion().split(".")
    assert_refused(signing.ask(f"{part(header)}.{payload}.{signature}"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    position=st.integers(0, 2),
    junk=st.one_of(st.binary(max_size=40).map(part), st.text(max_size=40)),
)
def test_no_part_of_an_assertion_is_a_fault_of_ours(
    signing: Signing, position: int, junk: str
) -> None:
    parts = signing.assertion(jti="never used").split(".")
    if junk == parts[position]:
        return
    parts[position] = junk
    assert_refused(signing.ask(".".join(parts)))
