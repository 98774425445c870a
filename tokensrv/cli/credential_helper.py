"""``git-credential-tokensrv``: keeps tokens for Git, as gitcredentials(7) wants it.

It owns one file, which its user alone can read, and gives a token to no other host than the one
that it was stored for. Only what has the shape of a token is kept: passwords are not. It asks
nobody anything; what it does not know, Git asks for.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import click

from tokensrv.domain.secret import token_digest

# A secret by the username that it came with, by the address of a host.
Kept = dict[str, dict[str, str]]
# What Git says of a credential, and is told.
Attributes = dict[str, str]


@click.command("git-credential-tokensrv")
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep tokens there and not in ~/.config/tokensrv/credentials.json.",
)
@click.option("--allow-http", is_flag=True, help="Send tokens to other machines in the clear, too.")
@click.argument("operation")
def main(file: Path | None, operation: str, *, allow_http: bool) -> None:
    """Answer Git: get, store or erase, with the credential on stdin.

    git config --global credential.https://git.example.com.helper tokensrv
    """
    asked = _read(sys.stdin.buffer.read())
    host = _host(asked, allow_http=allow_http)
    if host is None:
        return
    path = file or _default()
    try:
        if operation == "get":
            _get(path, host, asked)
        elif operation == "store" and token_digest(asked.get("password", "")) is not None:
            _store(path, host, asked)
        elif operation == "erase" and path.exists():
            _erase(path, host, asked)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{path} cannot be used: {error}.") from error


def _read(given: bytes) -> Attributes:
    """Return the attributes that Git wrote, one a line up to an empty one.

    None at all when one came twice that is no list (``wwwauth[]``): the second one was in a URL
    with an encoded newline in it, which an old Git writes as it is (CVE-2020-5260).
    """
    lines = given.decode(errors="surrogateescape").split("\n\n")[0].split("\n")
    found = [line.partition("=")[::2] for line in lines]
    single = [key for key, _ in found if not key.endswith("[]")]
    return dict(found) if len(single) == len(set(single)) else {}


def _host(asked: Attributes, *, allow_http: bool) -> str | None:
    """Return the address of the host, None for one that must not be sent a token."""
    protocol, host = asked.get("protocol"), asked.get("host", "").lower()
    if not host or protocol not in ("http", "https"):
        return None
    if protocol == "http" and not allow_http and not _is_here(host):
        click.echo(f"No token goes to {host} in the clear; use https, or --allow-http.", err=True)
        return None
    return f"{protocol}://{host}"


def _is_here(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _default() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base, "tokensrv", "credentials.json")


def _get(path: Path, host: str, asked: Attributes) -> None:
    kept = _load(path).get(host, {}) if path.exists() else {}
    found = [(name, secret) for name, secret in kept.items() if asked.get("username", name) == name]
    if found:
        username, secret = found[-1]
        click.echo(f"username={username}\npassword={secret}")


def _store(path: Path, host: str, good: Attributes) -> None:
    if name := good.get("username"):
        with _changed(path) as kept:
            # It comes last: where Git names nobody, the latest is the one to try.
            others = _without(kept.get(host, {}), {"username": name})
            kept[host] = others | {name: good["password"]}


def _erase(path: Path, host: str, refused: Attributes) -> None:
    with _changed(path) as kept:
        kept[host] = _without(kept.get(host, {}), refused)


def _without(of_host: dict[str, str], gone: Attributes) -> dict[str, str]:
    """Return what is left of a host: gone is only what is all that Git says of it."""
    return {
        name: secret
        for name, secret in of_host.items()
        if gone.get("username", name) != name or gone.get("password", secret) != secret
    }


def _load(path: Path) -> Kept:
    """Return what a file keeps; raises ValueError, and OSError for one that others may read."""
    with path.open(encoding="utf-8") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise PermissionError("others can read it, chmod 600 it")
        kept = json.load(file)
    if not isinstance(kept, dict) or not all(isinstance(of, dict) for of in kept.values()):
        raise ValueError("it must have secrets by username by host")
    return kept


@contextmanager
def _changed(path: Path) -> Iterator[Kept]:
    """Give what the file keeps, to be changed by nobody else meanwhile, and write it anew."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        kept = _load(path) if path.exists() else {}
        yield kept
        _write(path, {host: of_host for host, of_host in kept.items() if of_host})
    finally:
        os.close(folder)


def _write(path: Path, kept: Kept) -> None:
    """Put a file in the place of the other as a whole, its owner's alone from the beginning."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600, exist_ok=False)
    new.write_text(json.dumps(kept, indent=2), encoding="utf-8")
    new.replace(path)
