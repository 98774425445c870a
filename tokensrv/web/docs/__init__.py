"""The API, to read and to try: what `/openapi.json` says, for people."""

from __future__ import annotations

from tokensrv.web.docs import api

PAGES = (api.bp,)
