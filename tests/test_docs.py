"""What the documentation and `tokensrv init` tell people to type, typed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.live.pages import blocks, followed, typed, variables_of, with_alice
from tests.live.servers import (
    REPOSITORY,
    SCRIPTS,
    Instance,
    free_port,
    initialise,
    running,
    serving,
)
from tokensrv.config import env_name

PAGES = (
    "README.md",
    "docs/operate.md",
    *sorted(f"docs/integrate/{page.name}" for page in REPOSITORY.glob("docs/integrate/*.md")),
)
# The index of its folder, and what nobody can install without hand work. They say so themselves.
NOT_RUN = ("docs/integrate/README.md", "docs/integrate/kong-apisix.md", "docs/integrate/spring.md")
# What stands in front of tokensrv or asks it does not see which database it has: once is enough.
AROUND = frozenset(
    f"docs/integrate/{name}.md" for name in ("django", "envoy", "fastapi", "flask", "nginx", "node")
)
# These are followed by the tests of what they are about, which go on where a page ends.
GATES = sorted(f"docs/gates/{page.name}" for page in REPOSITORY.glob("docs/gates/*.md"))

_LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.sqlite if page in AROUND else ())
        for page in PAGES
        if page not in NOT_RUN
    ],
)
def test_a_page_does_what_it_says(page: str, tmp_path: Path, databases: Databases) -> None:
    assert blocks(page)
    instance = initialise(tmp_path / "instance", databases)
    with serving(instance, tmp_path / "serve.log") as server:
        variables = variables_of(server)
        if page != "README.md":
            variables = with_alice(variables)
        with followed(page, server, variables, tmp_path / "page", to_the_end=True):
            pass


@pytest.mark.parametrize("page", ["docs/gates/README.md", "docs/integrate/README.md"])
def test_the_token_that_pages_take_for_granted_is_made_as_on_the_first_page(page: str) -> None:
    command = blocks("README.md")[1]["code"].removesuffix("echo $TOKEN\n")
    assert f"```sh\n{command}```\n" in (REPOSITORY / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", NOT_RUN)
def test_a_page_that_is_not_run_has_nothing_to_run(page: str) -> None:
    assert blocks(page) == []


@pytest.mark.parametrize("page", GATES)
def test_a_page_about_a_gate_is_run_by_its_tests_or_has_nothing_to_run(page: str) -> None:
    tests = (REPOSITORY / "tests" / "live" / "gates").glob("*.py")
    is_run = any(f'"{page}"' in test.read_text(encoding="utf-8") for test in tests)
    assert is_run == bool(blocks(page))


def test_the_lines_that_init_prints_work(tmp_path: Path, databases: Databases) -> None:
    folder, port = tmp_path / "instance", free_port()
    environment = {"PATH": os.environ["PATH"], env_name("instance"): str(folder)}
    if url := databases.own(folder):
        environment[env_name("database_url")] = url
    instance = Instance(environment, "", "", "")
    printed = instance.command("init", "--url", f"http://127.0.0.1:{port}").stdout
    lines = [line for line in printed.splitlines() if line.startswith("curl ")]
    command = [str(SCRIPTS / "tokensrv"), "serve", "--port", str(port)]
    with running(instance, command, port, tmp_path / "serve.log"):
        alice, token, root, as_alice = (
            json.loads(typed(line.replace("curl", "curl --silent --show-error", 1), environment))
            for line in lines
        )
    assert (alice["username"], token["user_id"]) == ("alice", alice["id"])
    assert token["token"].startswith("tsp_")
    assert (root["active"], root["username"]) == (True, "root")
    assert "act" not in root
    assert (as_alice["username"], as_alice["act"]["username"]) == ("alice", "root")


def test_every_link_between_the_pages_leads_somewhere() -> None:
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in _LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []
