from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.config import FIELDS, FILE_NAME, Settings, env_name, load
from tokensrv.errors import ConfigError

# Whose default says that there is none.
OPTIONAL = {"master_key_file": Path, "soft_exp_seconds": int}
# All 32 bytes are 0xff, so that both alphabets of base64 show.
KEYS = ("_" * 42 + "8=", "/" * 42 + "8=")
POSTGRES = "postgresql+psycopg://u:p@db.example:5432/tokens?sslmode=require"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"TOKENSRV_INSTANCE": str(tmp_path), "PATH": "/bin"}


def _write(environ: dict[str, str], content: str) -> None:
    Path(environ["TOKENSRV_INSTANCE"], FILE_NAME).write_text(content)


def test_nothing_set_is_a_fresh_installation() -> None:
    assert load({}) == Settings()


def test_a_fresh_installation_keeps_its_sqlite_file_in_the_folder() -> None:
    assert Settings().sqlite_path == Path("instance/tokensrv.sqlite3").absolute()


def test_the_environment_wins_over_the_file(environ: dict[str, str]) -> None:
    _write(environ, 'prefix = "file"\nthreads = 8\n')
    settings = load(environ | {"TOKENSRV_PREFIX": "env"})
    assert (settings.prefix, settings.threads) == ("env", 8)


def test_an_empty_variable_is_none(environ: dict[str, str]) -> None:
    _write(environ, 'prefix = "file"\n')
    assert load(environ | {"TOKENSRV_PREFIX": ""}).prefix == "file"


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("TOKENSRV_EXTRA_SCOPES", "deploy,read deploy", ("deploy", "read")),
        ("TOKENSRV_TRUSTED_PROXIES", "10.0.0.0/8 ::1", ("10.0.0.0/8", "::1")),
        ("TOKENSRV_GATE_SCOPES", "* / api", ("* / api",)),
        (
            "TOKENSRV_GATE_SCOPES",
            " GET,HEAD  /a/b/ api x,y; \n* /\tdeploy:all\n",
            ("GET,HEAD /a/b/ api x y", "* / deploy:all"),
        ),
        ("TOKENSRV_GATE_SCOPES", "VERSION-CONTROL /..a/b.c api", ("VERSION-CONTROL /..a/b.c api",)),
        ("TOKENSRV_REQUIRE_EXPIRY", "On", True),
        ("TOKENSRV_QUERY_TOKENS", "off", False),
        ("TOKENSRV_SUDO_ADMIN_TARGETS", "1", True),
        ("TOKENSRV_SUDO_REASON_REQUIRED", "no", False),
        ("TOKENSRV_MAX_LIFETIME_DAYS", "36500", 36500),
        ("TOKENSRV_STORAGE_TIMEOUT_SECONDS", "0.25", 0.25),
        ("TOKENSRV_LAST_USED_FLUSH_SECONDS", "3600", 3600.0),
        ("TOKENSRV_EXTERNAL_URL", "https://tokens.example/base/", "https://tokens.example/base"),
        ("TOKENSRV_DATABASE_URL", "sqlite:////var/lib/t.db", "sqlite:////var/lib/t.db"),
        ("TOKENSRV_DATABASE_URL", POSTGRES, POSTGRES),
        ("TOKENSRV_DATABASE_URL", POSTGRES.replace("+psycopg", ""), POSTGRES),
    ],
)
def test_a_variable_is_read(
    environ: dict[str, str], variable: str, text: str, value: object
) -> None:
    settings = load(environ | {variable: text})
    assert getattr(settings, variable.removeprefix("TOKENSRV_").lower()) == value


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("require_expiry = true", "require_expiry", True),
        ('extra_scopes = ["deploy", "read"]', "extra_scopes", ("deploy", "read")),
        ("storage_timeout_seconds = 3", "storage_timeout_seconds", 3.0),
        ("storage_timeout_seconds = 2.5", "storage_timeout_seconds", 2.5),
        ("threads = 64", "threads", 64),
        ('gate_scopes = ["* /a api", "GET / x"]', "gate_scopes", ("* /a api", "GET / x")),
    ],
)
def test_a_line_of_the_file_is_read(
    environ: dict[str, str], line: str, name: str, value: object
) -> None:
    _write(environ, line)
    assert getattr(load(environ), name) == value


@pytest.mark.parametrize(
    ("url", "path"),
    [
        pytest.param("sqlite:////var/lib/t.db", Path("/var/lib/t.db"), id="absolute"),
        pytest.param("sqlite:///t.db", Path("t.db").absolute(), id="relative to where it started"),
        pytest.param(POSTGRES, None, id="PostgreSQL has none"),
    ],
)
def test_the_sqlite_file(url: str, path: Path | None) -> None:
    assert load({"TOKENSRV_DATABASE_URL": url}).sqlite_path == path


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("TOKENSRV_PREFIX", "T"),
        ("TOKENSRV_PREFIX", "t" * 13),
        ("TOKENSRV_PREFIX", "ts\n"),
        ("TOKENSRV_EXTRA_SCOPES", 'a"b'),
        ("TOKENSRV_TRUSTED_PROXIES", "10.0.0.300"),
        ("TOKENSRV_TRUSTED_PROXIES", "proxy.example"),
        ("TOKENSRV_GATE_SCOPES", "* /"),
        ("TOKENSRV_GATE_SCOPES", "* / api; GET"),
        ("TOKENSRV_GATE_SCOPES", "get / api"),
        ("TOKENSRV_GATE_SCOPES", "GET, HEAD / api"),
        ("TOKENSRV_GATE_SCOPES", "* files api"),
        ("TOKENSRV_GATE_SCOPES", "* //files api"),
        ("TOKENSRV_GATE_SCOPES", "* /files/../x api"),
        ("TOKENSRV_GATE_SCOPES", "* /files/. api"),
        ("TOKENSRV_GATE_SCOPES", "* /%66iles api"),
        ("TOKENSRV_GATE_SCOPES", "* /files?x api"),
        ("TOKENSRV_GATE_SCOPES", '* / a"b'),
        ("TOKENSRV_REQUIRE_EXPIRY", "maybe"),
        ("TOKENSRV_MAX_LIFETIME_DAYS", "0"),
        ("TOKENSRV_MAX_LIFETIME_DAYS", "36501"),
        ("TOKENSRV_PRUNE_AFTER_DAYS", "36501"),
        ("TOKENSRV_MAX_LIFETIME_DAYS", "٣"),
        ("TOKENSRV_THREADS", "-1"),
        ("TOKENSRV_THREADS", "four"),
        ("TOKENSRV_SOFT_EXP_SECONDS", "0"),
        ("TOKENSRV_SOFT_EXP_SECONDS", "3601"),
        ("TOKENSRV_SOFT_EXP_SECONDS", "1.5"),
        ("TOKENSRV_STORAGE_TIMEOUT_SECONDS", "nan"),
        ("TOKENSRV_STORAGE_TIMEOUT_SECONDS", "0"),
        ("TOKENSRV_STORAGE_TIMEOUT_SECONDS", "1e3"),
        ("TOKENSRV_EXTERNAL_URL", "tokens.example"),
        ("TOKENSRV_EXTERNAL_URL", "https://tokens.example/?a=b"),
        ("TOKENSRV_DATABASE_URL", "mysql://db/tokens"),
        ("TOKENSRV_DATABASE_URL", "postgresql+asyncpg://db/tokens"),
        ("TOKENSRV_DATABASE_URL", "sqlite://"),
        ("TOKENSRV_DATABASE_URL", "sqlite:///"),
        ("TOKENSRV_DATABASE_URL", "sqlite:///:memory:"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(
    environ: dict[str, str], variable: str, text: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{variable} .+[.]$"):
        load(environ | {variable: text})


@pytest.mark.parametrize(
    "line",
    [
        "require_expiry = 1",
        "threads = true",
        'threads = ["4"]',
        "storage_timeout_seconds = true",
        "extra_scopes = [1]",
        "gate_scopes = true",
        "gate_scopes = [[1]]",
        "prefix = 5",
        "database_url = 5",
        "external_url = false",
        "master_key = 5",
        "master_key_file = 5",
    ],
)
def test_a_wrong_type_in_the_file_is_refused_by_name(environ: dict[str, str], line: str) -> None:
    _write(environ, line)
    with pytest.raises(ConfigError, match=f"^{line.split()[0]} in .+{FILE_NAME} "):
        load(environ)


@pytest.mark.parametrize(
    "variable", ["TOKENSRV_PREFIXES", "TOKENSRV_prefix", "TOKENSRV_", "TOKENSRV_SERVICE_PORTS"]
)
def test_an_unknown_variable_is_refused_by_name(environ: dict[str, str], variable: str) -> None:
    with pytest.raises(ConfigError, match=variable):
        load(environ | {variable: "x"})


@pytest.mark.parametrize("key", ["prefixes", "instance", "TOKENSRV_PREFIX"])
def test_an_unknown_key_in_the_file_is_refused_by_name(environ: dict[str, str], key: str) -> None:
    _write(environ, f'{key} = "x"')
    with pytest.raises(ConfigError, match=key):
        load(environ)


@pytest.mark.parametrize(
    "variable",
    [
        "TOKENSRV_SERVICE_HOST",
        "TOKENSRV_SERVICE_PORT",
        "TOKENSRV_SERVICE_PORT_HTTP",
        "TOKENSRV_WEB_SERVICE_HOST",
        "TOKENSRV_PORT",
        "TOKENSRV_PORT_8000_TCP",
        "TOKENSRV_PORT_8000_TCP_PROTO",
        "TOKENSRV_WEB_2_PORT_53_UDP_ADDR",
    ],
)
def test_what_kubernetes_injects_is_ignored(environ: dict[str, str], variable: str) -> None:
    assert load(environ | {variable: "tcp://10.0.0.1:8000"}) == load(environ)


def test_no_setting_looks_like_what_kubernetes_injects(environ: dict[str, str]) -> None:
    ignored = []
    for name, field in FIELDS.items():
        try:
            if load(environ | {env_name(name): "\0"}) == load(environ):
                ignored.append(field.name)
        except ConfigError:
            continue
    assert ignored == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"prefix = ", id="not TOML"),
        pytest.param(b"prefix = '\xff'", id="not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(
    environ: dict[str, str], content: bytes
) -> None:
    path = Path(environ["TOKENSRV_INSTANCE"], FILE_NAME)
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{FILE_NAME} cannot be read"):
        load(environ)


def test_a_folder_in_the_files_place_is_refused(environ: dict[str, str]) -> None:
    Path(environ["TOKENSRV_INSTANCE"], FILE_NAME).mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load(environ)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("separator", [",", " ", "\n", ", "])
def test_one_or_more_master_keys_are_read(
    environ: dict[str, str], key: str, separator: str
) -> None:
    other = base64.b64encode(bytes(32)).decode()
    settings = load(environ | {"TOKENSRV_MASTER_KEY": f"{key}{separator}{other}"})
    assert settings.master_key == (key, other)


@pytest.mark.parametrize(
    "text", ["hunter2", KEYS[0][:-1], KEYS[0] + "=", KEYS[0][4:], f"{KEYS[0]},hunter2", ","]
)
def test_what_is_no_master_key_is_refused_and_not_repeated(
    environ: dict[str, str], text: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(environ | {"TOKENSRV_MASTER_KEY": text})
    message = "TOKENSRV_MASTER_KEY must be one or more keys of 32 bytes in base64."
    assert str(refused.value) == message


def test_a_master_key_is_in_no_representation_of_the_settings(environ: dict[str, str]) -> None:
    assert KEYS[0] not in repr(load(environ | {"TOKENSRV_MASTER_KEY": KEYS[0]}))


def test_the_master_key_is_in_the_folder_unless_another_file_is_named(
    environ: dict[str, str], tmp_path: Path
) -> None:
    assert load(environ).master_key_path == tmp_path / "master.key"
    named = load(environ | {"TOKENSRV_MASTER_KEY_FILE": "/run/secrets/key"})
    assert named.master_key_path == Path("/run/secrets/key")


def test_every_setting_is_documented() -> None:
    assert [name for name, field in FIELDS.items() if not field.metadata["doc"]] == []


@given(st.sampled_from([name for name in FIELDS if name != "instance"]), st.text(max_size=40))
def test_any_text_is_a_value_or_a_clear_error(name: str, text: str) -> None:
    wanted = OPTIONAL.get(name) or type(getattr(Settings(), name))
    try:
        found = load({env_name(name): text})
    except ConfigError as refused:
        message = str(refused)
    else:
        value = getattr(found, name)
        is_right = isinstance(value, wanted) or value == getattr(Settings(), name)
        message = env_name(name) if is_right else "wrong type"
    assert message.startswith(env_name(name))
