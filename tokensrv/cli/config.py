"""``tokensrv config``: which settings count, where each came from, and their documentation.

Passwords and keys are never shown. What a setting means is defined in ``tokensrv.config``.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import click

from tokensrv.cli.output import json_option, show_list, text
from tokensrv.config import FIELDS, FILE_NAME, Settings, env_name, load

# A password may itself hold an @, so it ends at the last one.
_BEFORE_HOST = re.compile(r"(://[^:/?#]*:).*@", re.DOTALL)
_IN_QUERY = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)

_INTRODUCTION = f"""\
# Settings

Every setting is an environment variable or, without `TOKENSRV_` and in lower case, a key in
`{FILE_NAME}` in the instance folder. The environment wins, an empty variable counts as none, and
unknown names are refused. In the file, switches are TOML booleans and lists are arrays; in the
environment they are `on` or `off` and words separated by blanks. `tokensrv config show` prints what
counts. This page is made from `tokensrv/config/__init__.py`.

| setting | default | meaning |
|---|---|---|
"""


@click.group("config")
def command() -> None:
    """Show the settings that count."""


@command.command("show")
@json_option
def show(*, as_json: bool) -> None:
    """Show every setting, its value and where it came from."""
    settings = load(os.environ)
    origin = origins(settings, os.environ)
    rows = [
        {"setting": env_name(name), "value": _value(settings, name), "origin": origin[name]}
        for name in FIELDS
    ]
    show_list(rows, ("setting", "value", "origin"), as_json=as_json)


def origins(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return where each setting came from: ``environment``, ``file`` or ``default``."""
    path = settings.instance / FILE_NAME
    in_file = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def origin(name: str) -> str:
        if environ.get(env_name(name)):
            return "environment"
        return "file" if name in in_file else "default"

    return {name: origin(name) for name in FIELDS}


def _value(settings: Settings, name: str) -> object:
    if name == "database_url":
        return masked(settings.database_url or f"sqlite:///{settings.sqlite_path}")
    if name == "master_key_file":
        return str(settings.master_key_path)
    value = getattr(settings, name)
    if FIELDS[name].metadata["is_secret"]:
        return "***" if value else None
    return str(value) if isinstance(value, Path) else value


def masked(url: str) -> str:
    """Return a database URL with ``***`` in the place of every password."""
    return _IN_QUERY.sub(r"\1***", _BEFORE_HOST.sub(r"\1***@", url))


def markdown() -> str:
    """Return docs/settings.md."""
    rows = (
        f"| `{env_name(name)}` | {_default(field.default)} | {field.metadata['doc']} |\n"
        for name, field in FIELDS.items()
    )
    return _INTRODUCTION + "".join(rows)


def _default(value: object) -> str:
    return "none" if value in ("", (), None) else f"`{text(value)}`"
