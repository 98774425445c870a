"""The overview as an admin sees it."""

from __future__ import annotations

import re
from datetime import timedelta

from tests.conftest import START, QueryRecorder
from tests.factories import make_token
from tests.web.conftest import Visitor
from tokensrv.db import Store
from tokensrv.models import Tally

ALL = "/admin"


def _tally(store: Store, **counts: int) -> None:
    with store.write() as session:
        session.add_all(
            Tally(hour=START, name=name.replace("_", ".", 1), count=count)
            for name, count in counts.items()
        )


def _cells(html: str, row: str) -> list[str]:
    """Return the cells of the row of a table that begins so, as text."""
    found = re.search(rf'<th scope="row">{row}</th>(.*?)</tr>', html, re.DOTALL)
    assert found, row
    return re.sub(r"<[^>]*>", " ", found[1]).split()


def test_an_instance_where_nothing_happened_says_so_in_place_of_each_chart(root: Visitor) -> None:
    html = root.text(ALL)
    assert "No client has asked about a token in the last seven days." in html
    assert "Nobody acted as somebody else in the last seven days." in html
    assert "Nothing was refused in the last seven days." in html
    assert "No token ends in the next 60 days." in html
    assert 'role="img"' not in html


def test_charts_have_a_name_a_description_and_the_numbers_in_a_table(
    root: Visitor, store: Store
) -> None:
    _tally(store, introspection_active=1_234, introspection_expired=5, sudo_used=7, sudo_admin=2)
    html = root.text(ALL)
    charts = re.findall(r'<svg [^>]*role="img".*?</svg>', html, re.DOTALL)
    assert len(charts) == 2
    for chart in charts:
        assert re.search(r'aria-labelledby="\w+-name \w+-text"', chart)
        assert re.search(r'<title id="\w+-name">\w.*</title>', chart)
        assert re.search(r'<desc id="\w+-text">\w.*</desc>', chart)
    assert _cells(html, "Tue 10 Mar, 12:00") == ["1,234", "5"]
    assert _cells(html, "Tue 10 Mar") == ["7", "2"]
    assert _cells(html, "Expired") == ["5"]
    assert _cells(html, "Sudo by somebody who is no admin") == ["2"]


def test_a_reason_that_is_not_known_here_is_shown_by_its_name(root: Visitor, store: Store) -> None:
    _tally(store, introspection_quota=3)
    assert _cells(root.text(ALL), "quota") == ["3"]


def test_tokens_are_counted_by_kind_age_and_end(root: Visitor, store: Store) -> None:
    assert root.user is not None
    for days in (1, 1, 30):
        make_token(store, root.user, expires_on=START.date() + timedelta(days=days))
    html = root.text(ALL)
    assert _cells(html, "Personal") == ["3", "0", "0"]
    assert _cells(html, "Up to 7 days") == ["3"]
    assert _cells(html, "Wed 11 Mar") == ["2"]
    assert _cells(html, "Thu 09 Apr") == ["1"]


def test_the_latest_events_stand_below(root: Visitor, store: Store) -> None:
    assert root.user is not None
    token = make_token(store, root.user).record
    html = root.text(ALL)
    assert html.index("token.created") < html.index("user.created")
    assert f'href="/admin/events?token_id={token.id}"' in html


def test_it_costs_a_few_queries(root: Visitor, query_recorder: QueryRecorder) -> None:
    root.text(ALL)
    query_recorder.clear()
    root.text(ALL)
    assert len(query_recorder.statements) <= 6
