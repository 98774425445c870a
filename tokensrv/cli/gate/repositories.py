"""Repositories: where they are on this machine, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

root_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--root",
    type=click.Path(path_type=Path),
    default=Path("/srv/git"),
    show_default=True,
    help="The folder of the repositories.",
)


def find(root: Path, repository: str) -> Path | None:
    """Return the folder of a bare repository, with or without ``.git`` at its end.

    None where there is none, and where a link leads out of ``root``. The path of the repository is
    as ``domain.repositories`` spells it.
    """
    top = root.resolve()
    for name in (f"{repository}.git", repository):
        # Of a name that is too long, or links in a circle, there is no folder either.
        with suppress(OSError, RuntimeError):
            folder = (top / name).resolve()
            if folder.is_relative_to(top) and (folder / "HEAD").is_file():
                return folder
    return None
