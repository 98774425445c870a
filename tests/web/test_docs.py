"""The page of the API: what the document says, for everybody to read."""

from __future__ import annotations

import re

from flask.testing import FlaskClient

from tests.web.conftest import Visitor


def test_every_operation_and_object_of_the_document_is_on_the_page(
    client: FlaskClient, anybody: Visitor
) -> None:
    document = client.get("/openapi.json").get_json()
    text = anybody.text("/docs")
    shown = re.findall(r'data-method="([A-Z]+)" data-path="([^"]+)"', text)
    assert sorted(shown) == sorted(
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item.keys() - {"parameters"}
    )
    for name in document["components"]["schemas"]:
        assert f'id="object-{name}"' in text


def test_every_id_on_the_page_is_unique(anybody: Visitor) -> None:
    ids = re.findall(r'\sid="([^"]+)"', anybody.text("/docs"))
    assert len(ids) == len(set(ids)) > 100


def test_values_are_described_in_words(anybody: Visitor) -> None:
    text = anybody.text("/docs")
    for words in ("text of at most 255 characters or null", "list of TokenObject", "date or null"):
        assert words in text


def test_a_body_begins_with_what_is_required(anybody: Visitor) -> None:
    text = anybody.text("/docs")
    assert "&#34;name&#34;: &#34;laptop&#34;" in text
