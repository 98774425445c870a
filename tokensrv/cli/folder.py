"""The instance folder: made for its owner alone, and writable before anything relies on it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Make the folder if need be; refuses when it, or what the block makes in it, cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # That it exists, or a file in it, says nothing: it may be read-only or full by now.
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
        yield
    except OSError as error:
        raise click.ClickException(
            f"The instance folder {folder} cannot be written: {error.strerror};"
            " name another with TOKENSRV_INSTANCE."
        ) from None
