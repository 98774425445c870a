"""Where repositories are, and that nothing leads elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokensrv.cli.gate.repositories import find


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("root/team/app.git", "root/plain", "outside.git"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "HEAD").touch()
    return tmp_path / "root"


def test_a_repository_is_found_with_its_suffix_or_without(root: Path) -> None:
    assert find(root, "team/app") == root / "team/app.git"
    assert find(root, "plain") == root / "plain"


def test_the_root_may_be_a_link_itself(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert find(tmp_path / "link", "plain") == root / "plain"


def test_what_is_no_repository_is_not_found(root: Path) -> None:
    (root / "circle").symlink_to(root / "circle")
    for name in ("team", "nothing", "plain/HEAD", "circle", "x" * 300):
        assert find(root, name) is None


def test_a_link_that_leads_out_of_the_root_is_not_followed(root: Path, tmp_path: Path) -> None:
    (root / "link.git").symlink_to(tmp_path / "outside.git")
    (root / "up").symlink_to(tmp_path)
    assert find(root, "link") is None
    assert find(root, "up/outside") is None
