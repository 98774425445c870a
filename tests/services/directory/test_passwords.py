from __future__ import annotations

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any

import pytest
from argon2 import PasswordHasher

from tokensrv.errors import InvalidRecord, StorageUnavailable
from tokensrv.services.directory import common_passwords, passwords

GOOD = "correct horse battery"


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("x" * 7, id="short"),
        pytest.param("x" * 129, id="long"),
        pytest.param("password", id="common"),
        pytest.param("PassWord1", id="common in another case"),
        pytest.param("1qaz2wsx", id="keyboard"),
        pytest.param("iloveyou", id="leaked"),
    ],
)
def test_what_is_guessed_first_is_nobodys_password(password: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        passwords.check(password)
    assert refused.value.field == "password"


@pytest.mark.parametrize(
    "password",
    [
        pytest.param(GOOD, id="words"),
        pytest.param("x" * 128, id="as long as it may be"),
        pytest.param("пароль и ещё", id="other letters"),
        pytest.param("        ", id="blanks"),
    ],
)
def test_there_are_no_rules_of_composition(password: str) -> None:
    passwords.check(password)


@pytest.mark.parametrize(
    "password", ["Alice.Example", "alice.e@EXAMPLE.org", "alice.e", "TokenSrv"], ids=str
)
def test_nobodys_password_is_what_he_is_called(password: str) -> None:
    with pytest.raises(InvalidRecord):
        passwords.check_against(password, username="alice.example", email="alice.e@example.org")
    passwords.check_against(GOOD, username="alice.example", email="alice.e@example.org")


def test_the_list_is_long_enough() -> None:
    packed = (resources.files(common_passwords) / "list.txt.gz").read_bytes()
    words = gzip.decompress(packed).decode().split("\n")
    assert len(set(words)) == len(words) == 17_950
    assert min(map(len, words)) == passwords.MIN_LENGTH
    assert all(map(common_passwords.is_common, words))


@pytest.mark.parametrize("other", [GOOD + " ", GOOD.upper(), GOOD[:-1], "", "\ud800"], ids=repr)
def test_a_password_is_verified_exactly_as_it_was_typed(cheap_hashes: None, other: str) -> None:
    stored = passwords.store_form(GOOD)
    assert passwords.verify(stored, GOOD)
    assert not passwords.verify(stored, other)


def test_whoever_has_no_password_is_verified_as_long_as_anybody(
    cheap_hashes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = passwords.store_form(GOOD)
    done: list[str] = []

    class Counting(PasswordHasher):
        def hash(self, *given: Any, **options: Any) -> str:
            done.append("hash")
            return super().hash(*given, **options)

        def verify(self, *given: Any) -> bool:
            done.append("verify")
            return super().verify(*given)

    monkeypatch.setattr(passwords, "_HASHER", Counting(1, 8, 1))
    assert not passwords.verify(None, GOOD)
    assert not passwords.verify(stored, GOOD + "!")
    assert done == ["hash", "verify"]


def test_a_hash_of_other_parameters_is_made_anew() -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(GOOD)
    new = passwords.renewed(old, GOOD)
    assert new is not None
    assert new.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.verify(new, GOOD)
    assert passwords.renewed(new, GOOD) is None


class Slow:
    """A hasher that is not done before it is told to be."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Semaphore(0), threading.Event()

    def hash(self, _password: bytes) -> str:
        self.begun.release()
        self.may_end.wait(10)
        return "a hash"


def test_a_flood_of_passwords_leaves_threads_for_everything_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = Slow()
    monkeypatch.setattr(passwords, "_HASHER", slow)
    monkeypatch.setattr(passwords, "_PATIENCE_SECONDS", 0.01)
    with ThreadPoolExecutor(2) as pool:
        try:
            busy = [pool.submit(passwords.verify, None, GOOD) for _ in range(2)]
            assert all(slow.begun.acquire(timeout=10) for _ in busy)
            with pytest.raises(StorageUnavailable):
                passwords.verify(None, GOOD)
        finally:
            slow.may_end.set()
        assert [one.result(10) for one in busy] == [False, False]
    assert passwords.verify(None, GOOD) is False
