"""Explanations: the checks that a token went through, one by one, in words for people.

The verdict is ``domain.introspection.judge``'s own: the checks before the one that it refused
were passed, and those after it were not reached. What is added here is which checks a question
has at all, and how each is told. No sentence holds a secret; for whom they are is decided in
``services.lifecycle.explanation``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tokensrv.clock import from_ms, isoformat
from tokensrv.domain.caller import Check, Refusal, SudoAsk, SudoPolicy
from tokensrv.domain.facts import ClientFacts, Facts, TokenKind
from tokensrv.domain.introspection import Question, is_for, judge
from tokensrv.domain.secret import masked

# Of the client's authentication, which comes before all checks of a token.
CLIENT_ENABLED: Final = "client_enabled"

_OF_SUDO: Final = frozenset(
    {
        Check.SUDO,
        Check.ADMIN,
        Check.CREDENTIAL,
        Check.SCOPE,
        Check.TARGET,
        Check.TARGET_STATE,
        Check.TARGET_ADMIN,
    }
)

# What is said of each check when it was passed, and when not.
_SENTENCES: Final[dict[Check, tuple[str, str]]] = {
    Check.UNKNOWN: ("It is the {kind} token {token} of {owner}.", "There is no such token."),
    Check.EXPIRED: ("It lasts {lasts}.", "It expired at {ends}."),
    Check.REVOKED: ("It was not revoked.", "It was revoked; the event log says by whom."),
    Check.NETWORK: (
        "It may be used from {ip}.",
        "It may be used from {networks}, and not from {ip}.",
    ),
    Check.OWNER: ("Its owner {owner} is active.", "Its owner {owner} is {owner_state}."),
    Check.SOURCE: (
        "Token {source} of {source_owner}, for which it was exchanged, would still get it.",
        "What it was exchanged for does not count any more. {cause}",
    ),
    Check.SUDO: (
        "The user to act as is named: {named}.",
        "The user to act as is empty or cannot be read.",
    ),
    Check.CLIENT: (
        "The client {client} may ask about sudo.",
        "The client {client} may not ask about sudo.",
    ),
    Check.ADMIN: ("{owner} is an admin.", "{owner} is not an admin."),
    Check.CREDENTIAL: (
        "A token of this kind may act as another user.",
        "An exchanged token may not act as yet another user.",
    ),
    Check.SCOPE: ("It has the scope sudo.", "It does not have the scope sudo: {scopes}."),
    Check.TARGET: ("The user {target} exists.", "There is no user {named}."),
    Check.TARGET_STATE: ("{target} is active.", "{target} is {target_state}."),
    Check.TARGET_ADMIN: (
        "{target} may be acted as.",
        "{target} is an admin, whom nobody may act as.",
    ),
    Check.REASON: ("A reason is given.", "The reason is missing or too long."),
    Check.AUDIENCE: (
        "The client {client} may be told about it.",
        "It is meant for other clients than {client}: {audience}.",
    ),
    Check.WANTED: ("It holds all scopes that are wanted.", "It does not hold: {missing}."),
    Check.LIMIT: (
        "The client {client} may see all scopes that are wanted.",
        "The client {client} may not see: {missing}.",
    ),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One check of a decision, in words."""

    check: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a token is active, and the checks up to the one that it failed, if it did."""

    is_active: bool
    steps: tuple[Step, ...]


def explain(facts: Facts, question: Question, *, now_ms: int, policy: SudoPolicy) -> Explanation:
    """Return what ``facts.client`` would be told about ``facts.token``, and why.

    No client: what somebody who is none would be told, to whom no audience and no limit applies.
    """
    steps = [] if facts.client is None else [_asker(facts.client)]
    if not all(step.passed for step in steps):
        return Explanation(False, tuple(steps))
    judgement = judge(facts, question, now_ms=now_ms, policy=policy)
    refusal = judgement if isinstance(judgement, Refusal) else None
    words = _words(facts, question, refusal)
    for check in Check:
        failed = refusal is not None and refusal.check is check
        if failed or _is_asked(check, facts, question, policy):
            steps.append(Step(check.value, not failed, _sentence(check, words, passed=not failed)))
        if failed:
            break
    return Explanation(refusal is None, tuple(steps))


def _asker(client: ClientFacts) -> Step:
    state = "disabled and is told nothing" if client.is_disabled else "enabled"
    detail = f"The client {client.client_id} is {state}."
    return Step(CLIENT_ENABLED, not client.is_disabled, detail)


def _is_asked(check: Check, facts: Facts, question: Question, policy: SudoPolicy) -> bool:
    """Return whether this question depends on the check."""
    client, ask = facts.client, question.ask
    if check is Check.NETWORK:
        return facts.token is not None and bool(facts.token.allowed_ips)
    if check is Check.SOURCE:
        return facts.token is not None and facts.token.kind == TokenKind.EXCHANGED
    if check in _OF_SUDO:
        return ask is not None
    if check is Check.CLIENT:
        return ask is not None and client is not None
    if check is Check.REASON:
        return isinstance(ask, SudoAsk) and (policy.reason_required or ask.reason is not None)
    if check is Check.AUDIENCE:
        return client is not None
    if check is Check.WANTED:
        return bool(question.scopes)
    if check is Check.LIMIT:
        return bool(question.scopes) and client is not None and client.scopes is not None
    return True


def _sentence(check: Check, words: dict[str, str], *, passed: bool) -> str:
    # People paste secrets where a name or a scope belongs.
    return str(masked(_SENTENCES[check][0 if passed else 1].format_map(words)))


def _words(facts: Facts, question: Question, refusal: Refusal | None) -> dict[str, str]:
    """Return what the sentences speak of; what a check has not found, its sentence leaves out."""
    token, exchange, ask = facts.token, facts.exchange, question.ask
    # An exchanged token is for no client for which its source is not.
    papers = [token, exchange.source if exchange else None]
    narrow = [paper for paper in papers if paper and not is_for(paper, facts.client)]
    ends = "" if token is None or token.expires_ms is None else _moment(token.expires_ms)
    return {
        "token": str(token.id) if token else "",
        "kind": token.kind if token else "",
        "scopes": " ".join(token.scopes) if token else "",
        "audience": " ".join(narrow[0].audience) if narrow else "",
        "networks": ", ".join(token.allowed_ips) if token else "",
        "ip": question.remote_ip or "an unknown address",
        "ends": ends,
        "lasts": f"until {ends}" if ends else "without end",
        "owner": facts.owner.username if facts.owner else "",
        "owner_state": facts.owner.state if facts.owner else "",
        "source": str(exchange.source.id) if exchange else "",
        "source_owner": exchange.source_owner.username if exchange else "",
        "cause": _cause(facts, question, refusal),
        "named": ask.target.text if isinstance(ask, SudoAsk) else "",
        "target": facts.target.username if facts.target else "",
        "target_state": facts.target.state if facts.target else "",
        "client": facts.client.client_id if facts.client else "",
        "missing": " ".join(refusal.missing) if refusal else "",
    }


def _cause(facts: Facts, question: Question, refusal: Refusal | None) -> str:
    """Return what the source of an exchanged token would be told now."""
    exchange, owner = facts.exchange, facts.owner
    if exchange is None or owner is None or refusal is None or refusal.source_check is None:
        return "Its source is gone."
    source = Facts(token=exchange.source, owner=exchange.source_owner, target=owner)
    plain = Question(remote_ip=question.remote_ip)
    told = _sentence(refusal.source_check, _words(source, plain, None), passed=False)
    return f"Of its source, token {exchange.source.id}: {told}"


def _moment(ms: int) -> str:
    return isoformat(from_ms(ms))
