"""Paging: which page of a list somebody asks for with the address."""

from __future__ import annotations

from typing import Final

from werkzeug.exceptions import NotFound

from tokensrv.services.pages import PageRequest
from tokensrv.web.forms import Form

# How many items somebody may ask for; the first is what most pages have if he does not.
SIZES: Final = (20, 50, 100)
# Further away a page costs more than anybody should wait for; filters lead there as well.
_MAX_OFFSET: Final = 50_000


def page_request(asked: Form, *, usual: int = SIZES[0]) -> PageRequest:
    """Return the page that ``page`` and ``per_page`` name; raises NotFound for one too far away.

    ``usual``: how many items it has if nothing is asked for.
    """
    size = asked.number("per_page")
    wanted = PageRequest(asked.number("page") or 1, size if size in SIZES else usual)
    if wanted.offset > _MAX_OFFSET:
        raise NotFound
    return wanted
