"""Metrics: counts every answer, and shows what is counted to the admins whose Prometheus asks.

It owns ``/metrics`` and the names under which answers are counted. What else is counted, and how
the workers of a node are added up, is ``services.metering.metrics``'s and
``services.metering.node_metrics``'s.
"""

from __future__ import annotations

from typing import Final, cast

from flask import Blueprint, Flask, Response, current_app, g, request
from prometheus_client import CONTENT_TYPE_LATEST

from tokensrv.http import context
from tokensrv.services.metering.node_metrics import NodeMetrics

bp = Blueprint("metrics", __name__)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def init_app(app: Flask) -> None:
    """Add the route, and count every answer."""
    app.register_blueprint(bp)
    app.after_request(_count)


@bp.get("/metrics")
def show() -> Response:
    """Show the metrics of all workers of this node."""
    node = cast(NodeMetrics, current_app.extensions["tokensrv_node_metrics"])
    answer = Response(node.text(), content_type=CONTENT_TYPE_LATEST)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _count(response: Response) -> Response:
    # The template and not the path, which callers choose; so is a method that nobody knows.
    route = request.url_rule.rule if request.url_rule else "none"
    method = request.method if request.method in _METHODS else "other"
    seconds = context.store().clock.monotonic() - g.began_seconds
    context.metrics().answered(route, method, response.status_code, seconds)
    return response
