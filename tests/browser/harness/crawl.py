"""The crawl: from page to page by what people can press, one address for each view.

So a page that nobody can get to is found out as one that was not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from urllib.parse import urlsplit

from flask import Flask
from playwright.sync_api import Page, Response
from werkzeug.exceptions import HTTPException

from tokensrv.web.access import PAGES

# Files and lists to take away are no pages to look at.
_NO_PAGES = frozenset(
    {
        "web.assets.show",
        "web.events.export",
        "web.feed.read",
        "web.inventory_export.show",
    }
)
_LEADS = """
() => [
  ...[...document.links].map((link) => link.href),
  ...[...document.querySelectorAll("form:not([method=post])")].map((form) => form.action),
]
"""


def views(app: Flask, **wanted: object) -> set[str]:
    """Return the views of pages for which the table of pages says this."""
    rules = [rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())]
    found = {rule.endpoint for rule in rules} & (PAGES.keys() - _NO_PAGES)
    return {
        view
        for view in found
        if all(getattr(PAGES[view], name) == value for name, value in wanted.items())
    }


def crawl(
    app: Flask,
    page: Page,
    starts: Iterable[str],
    wanted: set[str],
    look: Callable[[Response], None],
) -> set[str]:
    """Look at the pages at these addresses, and at the ``wanted`` ones that they lead to.

    Returns the views that were seen.
    """
    seen: set[str] = set()
    waiting = [(path, True) for path in starts]
    while waiting:
        path, is_start = waiting.pop(0)
        view = _view(app, path)
        if view not in wanted or (view in seen and not is_start):
            continue
        seen.add(view)
        answer = page.goto(path)
        assert answer is not None
        look(answer)
        waiting += [(path, False) for path in _leads(page)]
    return seen


def _leads(page: Page) -> Iterator[str]:
    here = urlsplit(page.url).netloc
    for address in page.evaluate(_LEADS):
        parts = urlsplit(address)
        if parts.netloc == here:
            yield f"{parts.path}?{parts.query}" if parts.query else parts.path


def _view(app: Flask, path: str) -> str:
    """Return the view of a path, "" when there is none."""
    try:
        view, _ = app.url_map.bind("").match(urlsplit(path).path, method="GET")
    except HTTPException:
        return ""
    return str(view)
