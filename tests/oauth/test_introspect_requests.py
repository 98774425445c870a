"""RFC 7662 §2.1: which requests are none, and who may ask at all."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.oauth.conftest import Service, World, basic
from tokensrv.domain.secret import digest
from tokensrv.errors import StorageUnavailable
from tokensrv.http.parse.form import MAX_BYTES
from tokensrv.models import Client
from tokensrv.services.directory import clients
from tokensrv.services.trail.events import COMMAND_LINE

PATH = "/oauth/introspect"
FORM = "application/x-www-form-urlencoded"


def assert_invalid(answer: TestResponse, status: int = 400) -> None:
    assert answer.status_code == status, answer.text
    assert answer.get_json()["error"] == "invalid_request"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.rfc7662("2.1")
@pytest.mark.parametrize(
    "body",
    [
        "",
        "token=",
        "token",
        "token_type_hint=access_token",
        "token=a&token=a",
        "token=a&token=b",
        "token=a&scope=api&scope=sudo",
        "token=a&sudo=alice&sudo=alice",
        "token=a&sudo_reason=x&sudo_reason=y",
        "token=a&unknown=1&unknown=2",
        "token=a&%74oken=b",
    ],
)
def test_a_form_without_one_token_or_with_a_repeated_parameter_is_invalid(
    service: Service, body: str
) -> None:
    assert_invalid(service.post(PATH, body, content_type=FORM))


@pytest.mark.rfc7662("2.1")
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", '{"token":"TOKEN"}'),
        ("text/plain", "token=TOKEN"),
        ("multipart/form-data; boundary=b", "--b\r\n\r\n--b--"),
        (None, "token=TOKEN"),
        ("nonsense", "token=TOKEN"),
    ],
)
def test_a_body_that_is_no_form_is_invalid(
    world: World, content_type: str | None, body: str
) -> None:
    sent = body.replace("TOKEN", world.alice_token.secret)
    assert_invalid(world.service.post(PATH, sent, content_type=content_type))


def test_the_content_type_of_a_form_may_name_its_charset(world: World) -> None:
    body = f"token={world.alice_token.secret}"
    answer = world.service.post(
        PATH, body, content_type="Application/X-WWW-Form-UrlEncoded; charset=UTF-8"
    )
    assert answer.get_json()["active"] is True


@pytest.mark.rfc7662("4")
@pytest.mark.parametrize(
    "query", ["token=TOKEN", "sudo=alice", "sudo", "scope=api", "client_secret=x", "%73udo=alice"]
)
def test_parameters_in_the_url_are_refused_and_not_overlooked(world: World, query: str) -> None:
    url = f"{PATH}?{query.replace('TOKEN', world.alice_token.secret)}"
    assert_invalid(world.service.post(url, {"token": world.admin_token.secret}))
    assert_invalid(world.service.post(url, {}))


def test_a_query_that_means_nothing_here_does_no_harm(world: World) -> None:
    answer = world.service.post(f"{PATH}?tenant=7", {"token": world.alice_token.secret})
    assert answer.get_json()["active"] is True


def test_a_form_of_64_kib_is_read_and_one_byte_more_is_too_large(world: World) -> None:
    body = f"token={world.alice_token.secret}&filler="
    fits = body + "a" * (MAX_BYTES - len(body))
    assert world.service.post(PATH, fits, content_type=FORM).get_json()["active"] is True
    assert_invalid(world.service.post(PATH, fits + "a", content_type=FORM), 413)


def test_a_chunked_form_is_read_and_limited_too(world: World) -> None:
    def send(body: str) -> TestResponse:
        # A server that reads chunks says so, and there is no length beforehand.
        return world.service.http.post(
            PATH,
            input_stream=io.BytesIO(body.encode()),
            content_type=FORM,
            headers={"Authorization": basic(world.service.client_id, world.service.secret)},
            environ_overrides={"wsgi.input_terminated": True},
        )

    body = f"token={world.alice_token.secret}"
    assert send(body).get_json()["active"] is True
    assert_invalid(send(body + "&filler=" + "a" * MAX_BYTES), 413)


@pytest.mark.rfc7662("2.1")
@pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/revoke"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_post_is_answered_and_that_is_said_before_authentication(
    world: World, path: str, method: str
) -> None:
    answer = world.http.open(path, method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("base_url", ["http://tokensrv.example", "https://tokensrv.example:8443"])
def test_the_scheme_of_the_url_is_the_proxys_business(world: World, base_url: str) -> None:
    answer = world.service.post(PATH, {"token": world.alice_token.secret}, base_url=base_url)
    assert answer.get_json()["active"] is True


@pytest.mark.parametrize("host", ["[", "a b", "evil.example/../x", ""])
def test_a_hostile_host_header_is_no_fault_of_ours(world: World, host: str) -> None:
    answer = world.service.introspect(world.alice_token.secret, {"Host": host})
    assert answer.status_code in {200, 400}


def in_the_body(service: Service, token: str) -> TestResponse:
    form = {"token": token, "client_id": service.client_id, "client_secret": service.secret}
    return service.http.post(PATH, data=form)


def raw(service: Service, token: str) -> TestResponse:
    return service.introspect(token)


def percent_encoded(service: Service, token: str) -> TestResponse:
    secret = service.secret.replace("_", "%5F")
    return service.introspect(token, {"Authorization": basic(service.client_id, secret)})


def with_its_id_in_the_body_too(service: Service, token: str) -> TestResponse:
    return service.introspect(token, client_id=service.client_id)


def with_the_scheme_in_other_letters(service: Service, token: str) -> TestResponse:
    header = basic(service.client_id, service.secret).replace("Basic ", "bAsIc ")
    return service.introspect(token, {"Authorization": header})


def with_empty_credentials_in_the_body(service: Service, token: str) -> TestResponse:
    return service.introspect(token, client_id="", client_secret="")


@pytest.mark.rfc6749("2.3.1")
@pytest.mark.parametrize(
    "ask",
    [
        in_the_body,
        raw,
        percent_encoded,
        with_its_id_in_the_body_too,
        with_the_scheme_in_other_letters,
        with_empty_credentials_in_the_body,
    ],
)
def test_a_client_may_say_who_it_is_in_all_these_ways(
    world: World, ask: Callable[[Service, str], TestResponse]
) -> None:
    assert ask(world.service, world.alice_token.secret).get_json()["active"] is True


@pytest.mark.rfc6749("2.3.1")
@pytest.mark.parametrize("encode", [str, quote, quote_plus])
def test_a_secret_of_any_letters_works_raw_and_encoded(
    world: World, encode: Callable[[str], str]
) -> None:
    imported = "pass word+50%25:ä/&=?"
    with world.store.write() as session:
        row = session.query(Client).filter_by(client_id=world.service.client_id).one()
        row.secret_digest = digest(imported)
    header = {"Authorization": basic(world.service.client_id, encode(imported))}
    assert world.service.told(world.alice_token.secret, header)["active"] is True


def test_the_secret_before_the_last_rotation_still_works(world: World) -> None:
    new = clients.rotate_secret(world.store, COMMAND_LINE, world.service.client_id)
    assert world.service.told(world.alice_token.secret)["active"] is True
    header = {"Authorization": basic(world.service.client_id, new.secret)}
    assert world.service.told(world.alice_token.secret, header)["active"] is True
    clients.rotate_secret(world.store, COMMAND_LINE, world.service.client_id)
    assert world.service.introspect(world.alice_token.secret).status_code == 401


@pytest.mark.rfc6749("2.3")
@pytest.mark.parametrize(
    "form",
    [
        {"client_id": "ID", "client_secret": "SECRET"},
        {"client_secret": "SECRET"},
        {"client_id": "somebody-else"},
        {"client_id": "ID", "client_secret": "wrong"},
    ],
)
def test_two_methods_at_once_are_invalid(world: World, form: dict[str, str]) -> None:
    values = {"ID": world.service.client_id, "SECRET": world.service.secret}
    sent = {key: values.get(value, value) for key, value in form.items()}
    assert_invalid(world.service.introspect(world.alice_token.secret, **sent))


def wrong_secret(world: World) -> str:
    return basic(world.service.client_id, "tsc_wrong")


def unknown_client(world: World) -> str:
    return basic("nobody", world.service.secret)


def disabled_client(world: World) -> str:
    clients.disable(world.store, COMMAND_LINE, world.service.client_id)
    return basic(world.service.client_id, world.service.secret)


def nobody(world: World) -> str:
    return ""


def an_id_of_other_case(world: World) -> str:
    return basic(world.service.client_id.swapcase(), world.service.secret)


REFUSED = [
    wrong_secret,
    unknown_client,
    disabled_client,
    nobody,
    an_id_of_other_case,
]


def assert_refused(answer: TestResponse) -> None:
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="tokensrv"'
    assert answer.get_json() == {
        "error": "invalid_client",
        "error_description": "Client authentication failed.",
    }
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.rfc7662("2.3")
@pytest.mark.parametrize("authorization", REFUSED)
def test_whoever_is_no_client_gets_one_and_the_same_answer(
    world: World, authorization: Callable[[World], str]
) -> None:
    headers = {"Authorization": authorization(world)}
    assert_refused(world.service.introspect(world.alice_token.secret, headers))


@pytest.mark.parametrize(
    "form",
    [
        {"client_id": "nobody", "client_secret": "SECRET"},
        {"client_id": "ID", "client_secret": "wrong"},
        {"client_id": "ID"},
        {"client_id": "", "client_secret": "SECRET"},
        {"client_secret": "SECRET"},
        {"client_id": "ID\0", "client_secret": "SECRET"},
        {"client_id": "ä", "client_secret": "SECRET"},
    ],
)
def test_the_body_gets_the_same_refusal_as_the_header(world: World, form: dict[str, str]) -> None:
    values = {"ID": world.service.client_id, "SECRET": world.service.secret}
    sent = {key: values.get(value, value) for key, value in form.items()}
    assert_refused(world.http.post(PATH, data={"token": world.alice_token.secret} | sent))


HOSTILE = [
    "Basic",
    "Basic ",
    "Basic  ",
    "Basic !!!",
    "Basic YQ",
    "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
    "Basic " + base64.b64encode(b"no colon").decode(),
    "Basic " + base64.b64encode(b":").decode(),
    "Basic " + base64.b64encode(b"\0:\0").decode(),
    "Basic " + base64.b64encode("ä:ö".encode("latin-1")).decode(),
    "Basic \xe4\xf6",
    "Basic " + "A" * 8000,
    "Digest username=x",
    "Basic YTpi, Basic YTpi",
    "basic",
    ":",
]


@pytest.mark.rfc7662("2.3")
@pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/revoke"])
@pytest.mark.parametrize("authorization", HOSTILE)
def test_a_hostile_header_is_refused_like_any_other(
    world: World, path: str, authorization: str
) -> None:
    form = {"token": world.alice_token.secret}
    assert_refused(world.service.post(path, form, {"Authorization": authorization}))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.one_of(st.binary(max_size=300), st.binary(max_size=60).map(lambda b: b"token=" + b)),
    authorization=st.one_of(
        st.none(),
        st.binary(max_size=60).map(lambda b: f"Basic {base64.b64encode(b).decode()}"),
        st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60),
    ),
    sudo=st.one_of(st.none(), st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"))),
)
@pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/revoke"])
def test_no_input_is_a_fault_of_ours(
    world: World, path: str, body: bytes, authorization: str | None, sudo: str | None
) -> None:
    headers = {"Sudo": sudo} if sudo is not None else {}
    if authorization is not None:
        headers["Authorization"] = authorization
    answer = world.service.post(path, body, headers, content_type=FORM)
    assert answer.status_code in {200, 400, 401}


def test_without_storage_nothing_is_claimed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_: object) -> None:
        raise StorageUnavailable

    monkeypatch.setattr(world.http.application.extensions["tokensrv_lookup"], "find", away)
    answer = world.service.introspect(world.alice_token.secret)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.get_json() == {"error": "temporarily_unavailable"}
