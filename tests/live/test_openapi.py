"""schemathesis, unmodified, against a real server of two workers: the API does what it describes.

It makes requests of the description at ``/openapi.json``, valid ones and broken ones, and says
which answers were not described, and which were a fault of the server.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.conftest import PROFILE
from tests.live.servers import REPOSITORY, SCRIPTS, Server

EXAMPLES = {"default": 5, "ci": 10, "full": 200}
_PATIENCE_SECONDS = {"default": 300, "ci": 600, "full": 7200}

# What GitLab's API, and so this one, does on purpose: a valid request may be refused for what is
# in the database, what is unknown in a request is ignored, and a revoked token is still shown.
NOT_CHECKED = ("positive_data_acceptance", "negative_data_rejection", "use_after_free")


def test_an_admin_meets_no_answer_that_is_not_described(
    live_server: Server, tmp_path: Path
) -> None:
    fuzz(live_server, tmp_path, user_id=1, scopes="api sudo")


def test_a_user_meets_no_answer_that_is_not_described(live_server: Server, tmp_path: Path) -> None:
    made = live_server.instance.command(
        "user", "create", "somebody", "--email", "somebody@example.org", "--json"
    )
    assert made.returncode == 0, made.stderr
    fuzz(live_server, tmp_path, user_id=json.loads(made.stdout)["id"], scopes="api")


def fuzz(server: Server, folder: Path, *, user_id: int, scopes: str) -> None:
    """Let schemathesis try every route with tokens of this user."""
    done = subprocess.run(
        [
            SCRIPTS / "schemathesis",
            "run",
            f"{server.url}/openapi.json",
            # A build must not fail by luck, so that it is the same requests each time.
            "--seed=1",
            f"--max-examples={EXAMPLES[PROFILE]}",
            f"--exclude-checks={','.join(NOT_CHECKED)}",
            "--warnings=off",
            "--no-color",
        ],
        check=False,
        # It would remember what it found, and try that first the next time.
        cwd=folder,
        env={
            **server.instance.environment,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY),
            "SCHEMATHESIS_HOOKS": "tests.live.fuzzing",
            "FUZZING_USER_ID": str(user_id),
            "FUZZING_SCOPES": scopes,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_PATIENCE_SECONDS[PROFILE],
    )
    assert done.returncode == 0, done.stdout
