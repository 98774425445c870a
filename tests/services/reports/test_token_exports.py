from __future__ import annotations

import csv
from datetime import timedelta

from tests.conftest import START
from tests.factories import make_admin, make_token
from tokensrv.db import Store
from tokensrv.domain.secret import digest
from tokensrv.services.lifecycle.token_lists import TokenFilter
from tokensrv.services.reports import inventory, token_exports


def test_a_token_is_a_line_that_holds_no_secret_and_no_formula(store: Store) -> None:
    new = make_token(
        store,
        make_admin(store),
        ("api", "sudo"),
        name='=HYPERLINK("http://x","y")',
        description="two\nlines, one token",
        expires_on=START.date() + timedelta(days=9),
    )
    lines = list(token_exports.csv_lines(inventory.each(store, TokenFilter())))
    (row,) = csv.DictReader(lines)
    assert list(row) == list(token_exports.COLUMNS)
    assert row["owner"] == "root"
    assert row["name"] == '\'=HYPERLINK("http://x","y")'
    assert row["description"] == "two\nlines, one token"
    assert row["scopes"] == "api sudo"
    assert (row["created_at"], row["expires_at"]) == (
        "2026-03-10T12:00:00.000Z",
        "2026-03-19T00:00:00.000Z",
    )
    assert (row["revoked_at"], row["is_active"]) == ("", "True")
    text = "".join(lines)
    assert new.secret not in text
    assert digest(new.secret).hex() not in text
