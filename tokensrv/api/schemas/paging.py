"""Paging: which page of a list was asked for."""

from __future__ import annotations

from typing import Any

from marshmallow import validate

from tokensrv.api.schemas.base import Wire
from tokensrv.api.schemas.fields import NO_VALID_VALUE, Whole
from tokensrv.services.pages import MAX_PER_PAGE, PageRequest

_positive = validate.Range(min=1, error=NO_VALID_VALUE)


class Paged(Wire):
    """The parameters of every list that has pages."""

    page = Whole(load_default=1, validate=_positive)
    per_page = Whole(load_default=20, validate=_positive)


def taken_page(data: dict[str, Any]) -> PageRequest:
    """Take the page out of loaded parameters; a page that is too long is shortened."""
    page, per_page = data.pop("page"), data.pop("per_page")
    return PageRequest(page, min(per_page, MAX_PER_PAGE))
