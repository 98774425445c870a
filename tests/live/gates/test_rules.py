"""The rules for repositories as ``docs/gates/rules.md`` tells people to make and remove them.

On SQLite alone: what a rule allows is tested on both databases where it is decided.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.pages import followed, variables_of, with_alice
from tests.live.servers import Server

PAGE = "docs/gates/rules.md"

pytestmark = pytest.mark.sqlite


def test_the_page_does_what_it_says(live_server: Server, tmp_path: Path) -> None:
    variables = with_alice(variables_of(live_server))
    with followed(PAGE, live_server, variables, tmp_path / "page", to_the_end=True):
        pass
