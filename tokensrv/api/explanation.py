"""Explanations: why a token is active or not, check by check."""

from __future__ import annotations

from tokensrv.api.blueprint import Blueprint
from tokensrv.api.schemas.explanations import ExplainToken, ExplanationObject, Inquiry
from tokensrv.api.tokens import hidden
from tokensrv.domain.explanation import Explanation
from tokensrv.http.context import caller, lookup, store
from tokensrv.services.lifecycle import explanation

bp = Blueprint("explanation", __name__, url_prefix="/api/v4/tokensrv/explain")


@bp.verb("POST", "", takes=ExplainToken, gives=ExplanationObject, fails={404})
def explain(inquiry: Inquiry) -> Explanation:
    """Explain what introspection would say about a token, to its owner and to admins."""
    with hidden():
        return explanation.explain(
            store(),
            lookup(),
            caller(),
            inquiry.token,
            inquiry.question,
            client_id=inquiry.client_id,
        )
