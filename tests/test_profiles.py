"""The harness itself: what the profile of a build makes of tests that did not run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# It is about pytest and no database, so that once is enough.
pytestmark = pytest.mark.sqlite

REPOSITORY = Path(__file__).parents[1]
SKIPPED = "import pytest\ndef test_a():\n    pytest.skip('not today')\n"
EXPECTED_TO_FAIL = "import pytest\n@pytest.mark.xfail\ndef test_a():\n    assert False\n"
NOT_COLLECTED = "import pytest\npytest.importorskip('no_such_module')\n"
PASSED = "def test_a():\n    pass\n"


@pytest.mark.parametrize(
    ("profile", "content", "exit_code"),
    [
        pytest.param("ci", SKIPPED, 1, id="skipped in a build"),
        pytest.param("ci", EXPECTED_TO_FAIL, 1, id="xfailed in a build"),
        pytest.param("ci", NOT_COLLECTED, 1, id="a module skipped in a build"),
        pytest.param("ci", PASSED, 0, id="passed in a build"),
        pytest.param("default", SKIPPED, 0, id="skipped at home"),
    ],
)
def test_a_skipped_test_fails_a_build(
    tmp_path: Path, profile: str, content: str, exit_code: int
) -> None:
    (tmp_path / "test_it.py").write_text(content)
    arguments = ["-c", "setup.cfg", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, str(tmp_path / "test_it.py")],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "TEST_PROFILE": profile},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exit_code, done.stdout + done.stderr
