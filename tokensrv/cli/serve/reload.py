"""Reloading: SIGHUP replaces the workers, one after the other, by ones with the settings of now.

Granian does the replacing. This makes sure beforehand that the new ones can start, because
Granian would end with them; where they cannot, the old ones go on and the log says why.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

from tokensrv.cli.sentences import sentence
from tokensrv.cli.serve.server import Server
from tokensrv.config import Settings
from tokensrv.errors import TokensrvError

_log = logging.getLogger("tokensrv.serve")


class Reload:
    """The handler of SIGHUP in the main process."""

    def __init__(self, server: Server, checked: Callable[[], Settings]) -> None:
        self._server = server
        self._checked = checked
        self._go_on: Callable[[int, FrameType | None], None]

    def install(self) -> None:
        """Stand before Granian's handler, which has been set when its start hooks are called."""
        self._go_on = cast("Any", signal.getsignal(signal.SIGHUP))
        signal.signal(signal.SIGHUP, self._reload)

    def _reload(self, number: int, frame: FrameType | None) -> None:
        try:
            settings = self._checked()
        except Exception as error:  # noqa: BLE001  # nothing that is wrong now may end what runs
            why = sentence(error) if isinstance(error, TokensrvError) else str(error)
            _log.error("reload.refused", extra={"why": why, "cause": type(error).__name__})
            return
        _log.info("reload.begun")
        self._server.blocking_threads = settings.threads
        self._go_on(number, frame)
