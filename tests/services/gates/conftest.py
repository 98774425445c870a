"""Somebody at a gate, without any proxy or program that brought him there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.conftest import ManualClock
from tests.databases import opened
from tests.services.conftest import events_of
from tokensrv import lookup
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.caller import InvalidSudo, SudoAsk
from tokensrv.domain.gates import Entry, Gate, NoEntry
from tokensrv.domain.usernames import target
from tokensrv.lookup import Lookup
from tokensrv.services.gates import entry, passwords
from tokensrv.services.gates.visit import Visit
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.records import EventRecord
from tokensrv.services.trail.events import Origin
from tokensrv.services.trail.usage import Usage

HERE, ELSEWHERE = "192.0.2.7", "198.51.100.9"


def visit_of(
    *, gate: Gate = Gate.AUTH, ip: str | None = HERE, sudo: str | None = None, **wanted: Any
) -> Visit:
    """Return a visit; ``sudo`` names somebody, blank: it cannot be read."""
    ask = None if sudo is None else SudoAsk(target(sudo)) if sudo else InvalidSudo()
    values = {"method": "GET", "path": "/files/7", "ask": ask} | wanted
    return Visit(gate, Origin(ip=ip, request_id="request-1"), **values)


@dataclass(frozen=True)
class Porch:
    """What stands behind every gate of one process."""

    store: Store
    usage: Usage
    lookup: Lookup
    metrics: Metrics

    def come(self, secret: str, **visit: Any) -> Entry | NoEntry:
        """Return what becomes of a token at a gate."""
        return entry.enter(
            self.store, self.usage, self.lookup, visit_of(**visit), secret, metrics=self.metrics
        )

    def sign_in(self, login: str, password: str, **visit: Any) -> Entry | NoEntry:
        """Return what becomes of a password at a gate."""
        here = visit_of(**{"gate": Gate.GIT} | visit)
        return passwords.enter(self.store, self.usage, here, login, password, metrics=self.metrics)

    def events(self, *actions: str) -> list[EventRecord]:
        """Return the events of these actions, without any all of gates and of sudo."""
        wanted = actions or (
            "gate.refused",
            "gate.counted",
            "sudo.used",
            "sudo.refused",
            "sudo.counted",
        )
        return [event for event in events_of(self.store) if event.action in wanted]

    def counted(self, outcome: str, gate: Gate = Gate.AUTH) -> float:
        """Return how many visits came to this."""
        labels = {"gate": gate.value, "outcome": outcome}
        return self.metrics.registry.get_sample_value("tokensrv_gate_visits_total", labels) or 0


@pytest.fixture
def porch(store: Store, usage: Usage) -> Porch:
    return Porch(store, usage, lookup.build(store), Metrics())


@pytest.fixture
def throttled(settings: Settings, clock: ManualClock) -> Iterator[Porch]:
    with opened(replace(settings, throttle=True), clock) as store:
        usage = Usage(store)
        yield Porch(store, usage, lookup.build(store), Metrics())
        usage.close()
