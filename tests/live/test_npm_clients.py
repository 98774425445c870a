"""Clients from npm, unmodified, against a real server of two workers.

Each file under ``node/`` is a suite of Node.js' own test runner about one of them.
"""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.live.servers import NODE, SCRIPTS, Server

_PATIENCE_SECONDS = 120


@pytest.mark.parametrize("suite", sorted(path.name for path in NODE.glob("*.test.mjs")))
def test_a_client_from_npm_works_unmodified(live_server: Server, suite: str) -> None:
    instance = live_server.instance
    done = subprocess.run(
        [SCRIPTS / "node", "--test", "--test-reporter=tap", suite],
        check=False,
        cwd=NODE,
        env={
            "PATH": os.environ["PATH"],
            "URL": live_server.url,
            "ADMIN_TOKEN": instance.admin_token,
            "CLIENT_ID": instance.client_id,
            "CLIENT_SECRET": instance.client_secret,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_PATIENCE_SECONDS,
    )
    counts = dict(
        re.findall(r"^# (pass|fail|cancelled|skipped|todo) (\d+)$", done.stdout, re.MULTILINE)
    )
    written = len(re.findall(r"^test\(", (NODE / suite).read_text(encoding="utf-8"), re.MULTILINE))
    assert done.returncode == 0, done.stdout
    assert counts.pop("pass") == str(written) != "0", done.stdout
    assert set(counts.values()) == {"0"}, done.stdout
