"""Settings: every one is documented here, where it is defined, and parsed once.

``load`` reads ``TOKENSRV_*`` environment variables, which win, and ``<instance>/tokensrv.toml``
(the same names in lower case without the prefix). Unknown keys are refused by name, so that a
typing error can never silently mean "the default". Nothing here connects to anything.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokensrv.config import values
from tokensrv.config.values import Parser
from tokensrv.errors import ConfigError

ENV_PREFIX = "TOKENSRV_"
FILE_NAME = "tokensrv.toml"
DEFAULT_EXTERNAL_URL = "http://127.0.0.1:8000"

# Kubernetes injects these for Services whose names begin with "tokensrv"; no setting looks so.
_KUBERNETES = re.compile(
    r"^TOKENSRV(_[A-Z0-9]+)*_(SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$"
)


def _setting(default: Any, doc: str, parse: Parser, *, is_secret: bool = False) -> Any:
    metadata = {"doc": doc, "parse": parse, "is_secret": is_secret}
    return dataclasses.field(default=default, repr=not is_secret, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one instance. Defaults are those of a fresh installation."""

    instance: Path = _setting(
        Path("instance"),
        "The folder that holds the settings file, the SQLite file, the master key and lock files.",
        Path,
    )
    database_url: str = _setting(
        "",
        "`postgresql://...` or `sqlite:///...`; empty: `tokensrv.sqlite3` in the folder.",
        values.database_url,
    )
    external_url: str = _setting(
        DEFAULT_EXTERNAL_URL,
        "Issuer and links, never taken from the Host header. `serve` sets it from its host and"
        " port when it is not given.",
        values.external_url,
    )
    master_key: tuple[str, ...] = _setting(
        (),
        "Opens the signing keys: 32 bytes in base64. The first of several seals, all of them open."
        " Without it the file counts.",
        values.master_keys,
        is_secret=True,
    )
    master_key_file: Path | None = _setting(
        None,
        "The file that holds it, a line for each key; by default `master.key` in the folder, made"
        " when it is first needed.",
        values.path,
    )
    prefix: str = _setting(
        "ts",
        "First letters of new secrets; old ones stay valid when it changes.",
        values.text(r"[a-z0-9]{2,12}", "2 to 12 of a-z and 0-9"),
    )
    extra_scopes: tuple[str, ...] = _setting(
        (), "The deployment's own scopes, separated by blanks.", values.scopes
    )
    max_lifetime_days: int = _setting(
        365, "The longest lifetime of a token with an expiry, in days.", values.whole(1, 36500)
    )
    require_expiry: bool = _setting(
        False, "When on, a missing expiry becomes today + the maximum.", values.flag
    )
    query_tokens: bool = _setting(
        True,
        "Whether the API accepts `private_token=` and `access_token=` in the URL.",
        values.flag,
    )
    dual_client_auth: bool = _setting(
        False,
        "Whether a client may send the same id and secret both as Basic and in the form, as some"
        " gateways do.",
        values.flag,
    )
    throttle: bool = _setting(
        True,
        "Whether failed passwords and codes are limited; off is for tests alone.",
        values.flag,
    )
    sudo_admin_targets: bool = _setting(False, "Whether sudo may act as an admin.", values.flag)
    sudo_reason_required: bool = _setting(
        False, "Whether every sudo must say why (`Sudo-Reason` or `sudo_reason`).", values.flag
    )
    last_used_flush_seconds: float = _setting(
        60.0,
        "A use of a token is written at the latest so many seconds later.",
        values.seconds(0.1, 3600),
    )
    prune_after_days: int = _setting(
        0,
        "Tokens that expired or were revoked more than so many days ago are removed, once an hour;"
        " 0: never.",
        values.whole(0, 36500),
    )
    soft_exp_seconds: int | None = _setting(
        None,
        "For caches of introspection answers that need an end: no `exp` is later than so many"
        " seconds, for which a revoked token may then live on.",
        values.whole(1, 3600),
    )
    registry_token_seconds: int = _setting(
        60,
        "For so long a container registry believes what it was told of a token, also when that is"
        " revoked meanwhile; Docker's adds a minute for clocks that differ. Its clients take 60 for"
        " granted.",
        values.whole(60, 3600),
    )
    lease_seconds: float = _setting(
        2.0,
        "On PostgreSQL: the longest that a revocation waits for a process that answers from its"
        " cache and is dead or cut off. The same on all nodes.",
        values.seconds(0.2, 60),
    )
    cache_entries: int = _setting(
        100_000,
        "On PostgreSQL: how many tokens each process keeps in memory; 0: none, every question"
        " reads the database.",
        values.whole(0, 10_000_000),
    )
    storage_timeout_seconds: float = _setting(
        2.0,
        "The longest that one statement, or the wait for a lock, may take.",
        values.seconds(0.1, 60),
    )
    threads: int = _setting(
        4,
        "Request threads of a worker. With 1 whatever waits, for a slow client or for other nodes,"
        " holds up all other answers of the worker.",
        values.whole(1, 64),
    )
    trusted_proxies: tuple[str, ...] = _setting(
        (),
        "Addresses or networks whose `X-Forwarded-For` and `X-Forwarded-Proto` count.",
        values.networks,
    )
    gate_scopes: tuple[str, ...] = _setting(
        (),
        "Which scopes `/gate/auth` requires for what: lines such as `GET,HEAD /files read_api` or"
        " `* / api`, in the environment with `;` between them. The first whose methods and prefix"
        " fit counts; what none fits is closed. Without a line every path is open to every token"
        " that holds what the proxy requires. Once decoded, paths are compared as written: case,"
        " trailing dots and blanks count, so that a service to which they do not needs a line for"
        " `* /` that is strict enough for all of it.",
        values.scope_lines,
    )

    @property
    def master_key_path(self) -> Path:
        """Return the file of the master key; whether it exists is not asked here."""
        return self.master_key_file or self.instance / "master.key"

    @property
    def sqlite_path(self) -> Path | None:
        """Return the SQLite file, or None where the database is PostgreSQL."""
        if not self.database_url:
            return (self.instance / "tokensrv.sqlite3").absolute()
        if self.database_url.startswith("sqlite:"):
            return Path(self.database_url.removeprefix("sqlite:///")).absolute()
        return None


FIELDS: Mapping[str, dataclasses.Field[Any]] = {f.name: f for f in dataclasses.fields(Settings)}


def env_name(name: str) -> str:
    """Return the environment variable of a setting: ``prefix`` -> ``TOKENSRV_PREFIX``."""
    return ENV_PREFIX + name.upper()


def load(environ: Mapping[str, str]) -> Settings:
    """Return the settings of the environment and of the instance's file.

    Raises ConfigError, naming the key, for an unknown key or a wrong value.
    """
    from_env = _read_environment(environ)
    instance = Path(from_env.get("instance") or "instance")
    found: dict[str, Any] = {}
    for name, value, origin in _merge(from_env, _read_file(instance / FILE_NAME), instance):
        try:
            found[name] = FIELDS[name].metadata["parse"](value)
        except ValueError as error:
            raise ConfigError(f"{origin} {error}.") from None
    found["instance"] = instance
    return Settings(**found)


def _merge(
    from_env: Mapping[str, str], from_file: Mapping[str, Any], instance: Path
) -> list[tuple[str, Any, str]]:
    rows = {
        name: (name, value, f"{name} in {instance / FILE_NAME}")
        for name, value in from_file.items()
    }
    # An empty variable is the same as none: that is how people unset one in a unit file.
    rows |= {name: (name, value, env_name(name)) for name, value in from_env.items() if value}
    return list(rows.values())


def _read_environment(environ: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for variable, value in environ.items():
        if not variable.startswith(ENV_PREFIX) or _KUBERNETES.fullmatch(variable):
            continue
        name = variable.removeprefix(ENV_PREFIX).lower()
        if name not in FIELDS or variable != env_name(name):
            raise ConfigError(f"{variable} is not a setting of tokensrv; unset it.")
        found[name] = value
    return found


def _read_file(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from None
    for key in content:
        if key not in FIELDS or key == "instance":
            raise ConfigError(f"{key} in {path} is not a setting of tokensrv; remove it.")
    return content
