"""Told: answers of this second, ready to be sent again to whoever asks the same.

Its promise: an answer is found only for the very facts that it was made of, under the same
settings and within the same second. Since the facts are read anew for every question, nothing
that an answer depends on can have changed; what is saved is to decide and to render it again.
What leaves an event behind is never kept, and neither is what is not active.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tokensrv.config import Settings
from tokensrv.domain.facts import Facts

# Tokens that are asked about again and again within a second are few.
LIMIT: Final = 1024


class Rendered(NamedTuple):
    """The headers of an answer, all but its own id, and its body."""

    headers: list[tuple[str, str]]
    body: bytes


class _Kept(NamedTuple):
    facts: Facts
    settings: Settings
    second: int
    rendered: Rendered


class Told:
    """The answers by token and client; at most ``LIMIT`` of them."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], _Kept] = {}
        # Tokens that were asked about once. Where every question is about another one, keeping
        # the answers would cost the garbage collector more than it saves.
        self._once: set[int] = set()

    def find(self, facts: Facts, settings: Settings, now_ms: int) -> Rendered | None:
        """Return the answer that these facts would get at this moment, None if it is not here."""
        client, token, *_ = facts
        if client is None or token is None:
            return None
        kept = self._kept.get((token.id, client.id))
        if kept is None or kept.facts != facts or kept.settings is not settings:
            return None
        is_over = kept.second != now_ms // 1000 or token.is_expired(now_ms)
        return None if is_over else kept.rendered

    def keep(self, facts: Facts, settings: Settings, now_ms: int, rendered: Rendered) -> None:
        """Keep the answer that these facts got in this second, if it is not the first one."""
        client, token, *_ = facts
        if client is None or token is None:
            return
        if token.id not in self._once:
            if len(self._once) >= LIMIT:
                self._once.clear()
            self._once.add(token.id)
            return
        if len(self._kept) >= LIMIT:
            self._kept.clear()
        self._kept[token.id, client.id] = _Kept(facts, settings, now_ms // 1000, rendered)
