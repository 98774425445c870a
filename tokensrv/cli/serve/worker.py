"""The processes of ``serve`` that answer: what each does before it does."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace
from multiprocessing.util import Finalize
from pathlib import Path

from flask import Flask

from tokensrv.app import create_app
from tokensrv.cli.config import origins
from tokensrv.config import Settings, load
from tokensrv.services.metering.node_metrics import NodeMetrics

_PR_SET_PDEATHSIG = 1  # prctl(2)
_MOMENT_SECONDS = 0.1


def load_worker(_target: str, *, url: str, metrics: Path) -> Flask:
    """Return the application of a worker, which from now on ends with its parent.

    ``url`` is where it listens, ``metrics`` the folder that all workers share. A function of
    the module, since a spawned worker finds it by name.
    """
    # Granian's handlers come later; those inherited from the parent would swallow the signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    # Reloading is the parent's business, also when a whole group of processes is told to.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    parent = multiprocessing.parent_process()
    # It may have died before we asked for the signal.
    if parent is None or os.getppid() != parent.pid:
        raise SystemExit("The server's main process is gone.")
    app = create_app(_settings(url))
    node: NodeMetrics = app.extensions["tokensrv_node_metrics"]
    node.share(metrics)
    # Last of all: what else runs at the end may write there.
    Finalize(None, _remove_orphan, args=(metrics, parent.pid), exitpriority=0)
    return app


def _remove_orphan(metrics: Path, parent_pid: int) -> None:
    """Remove the folder for a parent that was killed and cannot."""
    # The signal tells of the thread that started us; the rest of the process ends a moment later.
    time.sleep(_MOMENT_SECONDS)
    if os.getppid() != parent_pid:
        shutil.rmtree(metrics, ignore_errors=True)


def _settings(url: str) -> Settings:
    settings = load(os.environ)
    if origins(settings, os.environ)["external_url"] == "default":
        return replace(settings, external_url=url)
    return settings
