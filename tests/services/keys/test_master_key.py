"""The master key: where it comes from, and what is not opened without the right one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.processes import Process
from tokensrv.config import Settings
from tokensrv.errors import KeyUnavailable
from tokensrv.services.keys import master_key

PLAIN = b"the private half"

_SEAL = """
from tokensrv.services.keys import master_key
print("ready", flush=True)
sys.stdin.readline()
print(master_key.seal(settings, b"the private half"))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Settings:
    return Settings(instance=tmp_path)


def new_key() -> str:
    return Fernet.generate_key().decode()


def test_the_default_file_is_made_when_it_is_first_needed_and_for_its_owner_alone(
    folder: Settings,
) -> None:
    path = folder.instance / "master.key"
    sealed = master_key.seal(folder, PLAIN)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_nlink == 1
    assert list(folder.instance.iterdir()) == [path]
    made = path.read_bytes()
    assert master_key.unseal(folder, master_key.seal(folder, PLAIN)) == PLAIN
    assert master_key.unseal(folder, sealed) == PLAIN
    assert path.read_bytes() == made


def test_what_is_sealed_shows_nothing_and_cannot_be_changed(folder: Settings) -> None:
    sealed = master_key.seal(folder, PLAIN)
    assert "private" not in sealed
    position = len(sealed) // 2
    changed = sealed[:position] + ("A" if sealed[position] != "A" else "B") + sealed[position + 1 :]
    with pytest.raises(KeyUnavailable):
        master_key.unseal(folder, changed)


def test_processes_that_need_it_at_once_share_one_key(settings: Settings) -> None:
    processes = [Process(_SEAL, settings) for _ in range(4)]
    for process in processes:
        assert process.hear() == "ready"
    for process in processes:
        process.say()
    sealed = [process.end() for process in processes]
    assert [master_key.unseal(settings, one) for one in sealed] == [PLAIN] * 4


def test_to_open_something_never_makes_a_key(folder: Settings) -> None:
    with pytest.raises(KeyUnavailable, match=r"master\.key is missing"):
        master_key.unseal(folder, "sealed elsewhere")
    assert list(folder.instance.iterdir()) == []


def test_a_file_that_was_named_is_never_made(folder: Settings) -> None:
    path = folder.instance / "mounted" / "key"
    with pytest.raises(KeyUnavailable, match="is missing"):
        master_key.seal(replace(folder, master_key_file=path), PLAIN)
    path.parent.mkdir()
    path.write_text(new_key())
    assert master_key.seal(replace(folder, master_key_file=path), PLAIN)
    assert not (folder.instance / "master.key").exists()


def test_the_setting_wins_over_the_file(folder: Settings) -> None:
    settings = replace(folder, master_key=(new_key(),))
    sealed = master_key.seal(settings, PLAIN)
    assert list(folder.instance.iterdir()) == []
    (folder.instance / "master.key").write_text(new_key())
    assert master_key.unseal(settings, sealed) == PLAIN
    with pytest.raises(KeyUnavailable, match="another master key"):
        master_key.unseal(folder, sealed)


def test_the_first_of_several_keys_seals_and_all_of_them_open(folder: Settings) -> None:
    old, new = new_key(), new_key()
    path = folder.instance / "master.key"
    path.write_text(old)
    before = master_key.seal(folder, PLAIN)
    path.write_text(f"{new}\n{old}\n")
    after = master_key.seal(folder, PLAIN)
    assert master_key.unseal(folder, before) == master_key.unseal(folder, after) == PLAIN
    path.write_text(new)
    assert master_key.unseal(folder, after) == PLAIN
    with pytest.raises(KeyUnavailable):
        master_key.unseal(folder, before)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"hunter2", b"\xff\xfe", b"aHVudGVyMg==", b"a" * 42 + b"!="],
)
def test_a_file_that_holds_no_key_is_refused_and_not_repeated(
    folder: Settings, content: bytes
) -> None:
    (folder.instance / "master.key").write_bytes(content)
    with pytest.raises(KeyUnavailable) as refused:
        master_key.seal(folder, PLAIN)
    text = content.decode("latin-1").strip()
    assert not text or text not in str(refused.value)
    assert str(refused.value).startswith(f"The master key {folder.instance}/master.key ")
    assert (folder.instance / "master.key").read_bytes() == content


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailable, match="cannot be written: No such file"):
        master_key.seal(Settings(instance=tmp_path / "gone"), PLAIN)


def test_a_file_that_cannot_be_read_is_named(folder: Settings) -> None:
    (folder.instance / "master.key").mkdir()
    with pytest.raises(KeyUnavailable, match="cannot be read: Is a directory"):
        master_key.seal(folder, PLAIN)
