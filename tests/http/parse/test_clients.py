from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.domain.facts import ClientFacts
from tokensrv.domain.secret import digest
from tokensrv.http.parse import clients
from tokensrv.http.parse.clients import ClientAssertion, ClientCredentials, ClientProblem
from tokensrv.http.parse.form import Form

ID, SECRET = "0rs", "tsc_" + "s" * 36
BASIC, POST = "client_secret_basic", "client_secret_post"

Found = ClientCredentials | ClientAssertion | ClientProblem


def read(header: str | None, client_id: str | None, secret: str | None, **more: str) -> Found:
    """Return what is read of a header and a form; None leaves a parameter out."""
    return clients.read(header, form(client_id=client_id, client_secret=secret, **more))


def form(**values: str | None) -> Form:
    return Form({name: (value,) for name, value in values.items() if value is not None})


def basic(text: str | bytes) -> str:
    raw = text if isinstance(text, bytes) else text.encode()
    return "Basic " + base64.b64encode(raw).decode()


def client(*secrets: str, is_disabled: bool = False) -> ClientFacts:
    digests = tuple(digest(secret) for secret in secrets)
    return ClientFacts(1, ID, digests, is_disabled, None, ())


@pytest.mark.rfc6749("2.3.1")
@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_basic_is_read_whatever_the_case_of_its_name(scheme: str) -> None:
    header = basic(f"{ID}:{SECRET}").replace("Basic", scheme)
    assert read(header, None, None) == ClientCredentials(ID, (digest(SECRET),), BASIC)


@pytest.mark.rfc6749("2.3.1")
@pytest.mark.parametrize("header", [None, "", "  "])
def test_the_body_is_read(header: str | None) -> None:
    assert read(header, ID, SECRET) == ClientCredentials(ID, (digest(SECRET),), POST)


@pytest.mark.parametrize(
    "encode",
    [
        pytest.param(str, id="raw"),
        pytest.param(lambda text: quote(text, safe=""), id="percent"),
        pytest.param(quote_plus, id="form"),
    ],
)
@pytest.mark.parametrize("secret", ["a b", "a+b", "100%", "a:b", "ü", "%41"])
def test_a_secret_is_found_however_it_was_encoded(encode: type[str], secret: str) -> None:
    found = read(basic(f"{ID}:{encode(secret)}"), None, None)
    assert isinstance(found, ClientCredentials)
    assert digest(secret) in found.digests


def test_what_a_header_says_is_remembered_without_the_secret_and_not_for_ever() -> None:
    first = read(basic(f"{ID}:{SECRET}"), None, None)
    for number in range(3000):
        assert read(basic(f"{ID}:{number}"), None, None) == ClientCredentials(
            ID, (digest(str(number)),), BASIC
        )
    assert len(clients._read_before) <= 1024  # noqa: SLF001  # nothing else tells what is kept
    assert SECRET not in repr(clients._read_before)  # noqa: SLF001
    assert read(basic(f"{ID}:{SECRET}"), None, None) == first


def test_a_client_id_may_be_encoded() -> None:
    found = read(basic(f"my+client%2F1:{SECRET}"), None, None)
    assert isinstance(found, ClientCredentials)
    assert found.client_id == "my client/1"


def test_basic_with_an_equal_id_in_the_body_is_one_method() -> None:
    header = basic(f"{ID}:{SECRET}")
    assert read(header, ID, None) == ClientCredentials(ID, (digest(SECRET),), BASIC)
    assert read(header, ID, "") == ClientCredentials(ID, (digest(SECRET),), BASIC)


@pytest.mark.rfc6749("2.3")
@pytest.mark.parametrize(
    ("header", "client_id", "secret"),
    [
        pytest.param(basic(f"{ID}:{SECRET}"), ID, SECRET, id="both, identical"),
        pytest.param(basic(f"{ID}:wrong"), ID, SECRET, id="a wrong one and a right one"),
        pytest.param(basic(f"{ID}:{SECRET}"), None, SECRET, id="a second secret"),
        pytest.param(basic(f"{ID}:{SECRET}"), "other", None, id="another id"),
        pytest.param("Basic !", ID, SECRET, id="a broken one and a right one"),
        pytest.param("Bearer x", ID, SECRET, id="a bearer token and a client"),
    ],
)
def test_two_methods_are_too_many(header: str, client_id: str | None, secret: str | None) -> None:
    assert read(header, client_id, secret) is ClientProblem.TWO_METHODS


@pytest.mark.rfc7521("4.2")
@pytest.mark.parametrize("client_id", [None, ID])
def test_an_assertion_is_read_with_the_id_beside_it(client_id: str | None) -> None:
    found = read(None, client_id, None, client_assertion="a.b.c")
    assert found == ClientAssertion(client_id, "a.b.c")
    assert "a.b.c" not in repr(found)


@pytest.mark.rfc6749("2.3")
@pytest.mark.parametrize(
    ("header", "secret"),
    [
        pytest.param(basic(f"{ID}:{SECRET}"), None, id="Basic"),
        pytest.param(None, SECRET, id="a secret"),
        pytest.param("Bearer x", None, id="a bearer token"),
    ],
)
def test_an_assertion_and_anything_else_are_two_methods(
    header: str | None, secret: str | None
) -> None:
    found = read(header, ID, secret, client_assertion="a.b.c")
    assert found is ClientProblem.TWO_METHODS


@pytest.mark.rfc6749("2.3.1")
def test_a_blank_assertion_is_none() -> None:
    found = read(basic(f"{ID}:{SECRET}"), None, None, client_assertion="")
    assert found == ClientCredentials(ID, (digest(SECRET),), BASIC)


def test_the_same_credentials_in_both_places_are_basic_where_that_is_tolerated() -> None:
    given = form(client_id=ID, client_secret=SECRET)
    found = clients.read(basic(f"{ID}:{SECRET}"), given, tolerates_both=True)
    assert found == ClientCredentials(ID, (digest(SECRET),), BASIC)


@pytest.mark.parametrize(
    ("header", "given"),
    [
        pytest.param(basic(f"{ID}:{SECRET}"), form(client_id=ID, client_secret="x"), id="secret"),
        pytest.param(basic(f"{ID}:{SECRET}"), form(client_id="x", client_secret=SECRET), id="id"),
        pytest.param(basic(f"{ID}:{SECRET}"), form(client_secret=SECRET), id="no id"),
        pytest.param("Basic !", form(client_id=ID, client_secret=SECRET), id="a broken header"),
        pytest.param("Bearer x", form(client_id=ID, client_secret=SECRET), id="a bearer token"),
    ],
)
def test_different_credentials_are_tolerated_nowhere(header: str, given: Form) -> None:
    assert clients.read(header, given, tolerates_both=True) is ClientProblem.TWO_METHODS


@pytest.mark.parametrize(
    ("header", "client_id", "secret"),
    [
        pytest.param(None, None, None, id="nothing"),
        pytest.param(None, ID, None, id="an id alone"),
        pytest.param(None, ID, "", id="an id with a blank secret"),
        pytest.param("Bearer x", None, None, id="another scheme"),
        pytest.param("Digest x", ID, None, id="another scheme with an id"),
    ],
)
def test_nobody_authenticates(header: str | None, client_id: str | None, secret: str) -> None:
    assert read(header, client_id, secret) is ClientProblem.NONE


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Basic", id="no value"),
        pytest.param("Basic ", id="empty value"),
        pytest.param("Basic =", id="padding alone"),
        pytest.param("Basic !!!!", id="no base64"),
        pytest.param("Basic \xff\xfe", id="no ASCII"),
        pytest.param("Basic YQ", id="no padding"),
        pytest.param(basic(b"\xff:\xfe"), id="no UTF-8"),
        pytest.param(basic("nocolon"), id="no colon"),
        pytest.param(basic(":secret"), id="no id"),
        pytest.param(basic(f"{ID}:"), id="no secret"),
        pytest.param(basic("a\0b:secret"), id="NUL in the id"),
        pytest.param(basic("a%00b:secret"), id="encoded NUL in the id"),
        pytest.param(basic("ü:secret"), id="an id that is no ASCII"),
    ],
)
def test_hostile_basic_is_malformed(header: str) -> None:
    assert read(header, None, None) is ClientProblem.MALFORMED


@pytest.mark.parametrize("client_id", [None, "", "a\0b", "ü", "a\nb"])
def test_a_body_without_a_possible_id_is_malformed(client_id: str | None) -> None:
    assert read(None, client_id, SECRET) is ClientProblem.MALFORMED


@given(st.none() | st.text(), st.none() | st.text(), st.none() | st.text())
def test_hostile_text_never_raises(
    header: str | None, client_id: str | None, secret: str | None
) -> None:
    read(header, client_id, secret)


@given(st.binary())
def test_hostile_bytes_in_basic_never_raise(raw: bytes) -> None:
    found = read(basic(raw), None, None)
    if isinstance(found, ClientCredentials):
        assert not clients.authenticates(client(SECRET), found.digests)


def test_either_of_two_live_secrets_authenticates() -> None:
    known = client("old", "new")
    assert clients.authenticates(known, (digest("old"),))
    assert clients.authenticates(known, (digest("wrong"), digest("new")))


@pytest.mark.parametrize(
    ("known", "secrets"),
    [
        pytest.param(client(SECRET), ("wrong",), id="a wrong secret"),
        pytest.param(client(SECRET), (), id="no secret"),
        pytest.param(client(), (SECRET,), id="a client without a secret"),
        pytest.param(client(SECRET, is_disabled=True), (SECRET,), id="a disabled client"),
        pytest.param(None, (SECRET,), id="an unknown client"),
    ],
)
def test_nobody_else_authenticates(known: ClientFacts | None, secrets: tuple[str, ...]) -> None:
    assert not clients.authenticates(known, tuple(map(digest, secrets)))


def test_a_secret_is_not_shown_in_the_credentials() -> None:
    assert SECRET not in repr(read(None, ID, SECRET))
