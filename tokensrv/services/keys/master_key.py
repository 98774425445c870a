"""The master key: it seals what must be stored and read again.

It owns where the key comes from (the setting, a file) and the making of that file. What is sealed
is decided elsewhere: private halves of our keys, secrets of authenticator apps; tokens are not, for
of those only digests are stored.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from tokensrv.config import Settings
from tokensrv.config.values import master_keys
from tokensrv.errors import KeyUnavailable

_WAY_ON: Final = "give this node the master key of the others (TOKENSRV_MASTER_KEY)"


def seal(settings: Settings, plain: bytes) -> str:
    """Return ``plain``, encrypted and authenticated under the first of the instance's keys.

    The default file is made when there is none. Raises KeyUnavailable.
    """
    if not settings.master_key and not settings.master_key_file:
        _make(settings.master_key_path)
    return _fernet(settings).encrypt(plain).decode()


def unseal(settings: Settings, sealed: str) -> bytes:
    """Return what was sealed under any of the instance's keys; raises KeyUnavailable."""
    try:
        return _fernet(settings).decrypt(sealed)
    except InvalidToken:
        message = f"Something was sealed under another master key; {_WAY_ON}."
        raise KeyUnavailable(message) from None


def _fernet(settings: Settings) -> MultiFernet:
    keys = settings.master_key or _read(settings.master_key_path)
    return MultiFernet([Fernet(key) for key in keys])


def _read(path: Path) -> tuple[str, ...]:
    try:
        return master_keys(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        raise KeyUnavailable(f"The master key {path} is missing; {_WAY_ON}.") from None
    except OSError as error:
        raise KeyUnavailable(f"The master key {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        # A file that is no text is such an error as well, and repeats what it has read.
        why = "is no text" if isinstance(error, UnicodeError) else str(error)
        raise KeyUnavailable(f"The master key {path} {why}.") from None


def _make(path: Path) -> None:
    """Write a new key unless the file exists; of two processes at once, one wins for both."""
    if path.exists():
        return
    try:
        # Readable by its owner alone, and complete before it has its name.
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".master-key-") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(file.name, path)
        _sync(path.parent)
    except OSError as error:
        message = f"The master key {path} cannot be written: {error.strerror}."
        raise KeyUnavailable(message) from None


def _sync(folder: Path) -> None:
    # What is sealed under the key is durable in the database, so its name must be, too.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
