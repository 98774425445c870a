from __future__ import annotations

import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.domain import secret
from tokensrv.domain.secret import ALPHABET, Kind

PREFIXES = st.from_regex(r"[a-z0-9]{2,12}", fullmatch=True)
KINDS = st.sampled_from(Kind)
TOKEN_KINDS = [Kind.PERSONAL, Kind.IMPERSONATION, Kind.EXCHANGED]


@given(PREFIXES, KINDS)
def test_a_new_secret_has_the_shape(prefix: str, kind: Kind) -> None:
    minted = secret.mint(prefix, kind)
    assert minted.startswith(f"{prefix}{kind.value}_")
    assert len(minted) == len(prefix) + 2 + 36
    assert secret.has_shape(minted)


@given(PREFIXES, KINDS, st.integers(0, 29), st.sampled_from(ALPHABET))
def test_one_changed_letter_breaks_the_checksum(
    prefix: str, kind: Kind, place: int, letter: str
) -> None:
    minted = secret.mint(prefix, kind)
    at = len(prefix) + 2 + place
    changed = minted[:at] + letter + minted[at + 1 :]
    assert secret.has_shape(changed) == (changed == minted)


@given(st.text())
def test_arbitrary_text_is_judged_without_an_error(text: str) -> None:
    assert secret.has_shape(text) in {True, False}


def test_the_checksum_is_the_crc_32_in_base62_padded_to_six() -> None:
    letters = secret.checksum("tsp_" + "0" * 30)
    number = 0
    for letter in letters:
        number = number * 62 + ALPHABET.index(letter)
    assert len(letters) == 6
    assert number == zlib.crc32(b"tsp_" + b"0" * 30)


def test_a_small_checksum_begins_with_zeros() -> None:
    assert zlib.crc32(b"") == 0
    assert secret.checksum("") == "000000"


def test_secrets_do_not_repeat() -> None:
    assert len({secret.mint("ts", Kind.PERSONAL) for _ in range(1000)}) == 1000


@pytest.mark.parametrize("kind", TOKEN_KINDS, ids=str)
def test_a_tokens_secret_gives_the_sha_256_to_look_up(kind: Kind) -> None:
    minted = secret.mint("ts", kind)
    assert secret.token_digest(minted) == hashlib.sha256(minted.encode()).digest()


def test_any_prefix_counts_so_that_a_changed_setting_leaves_old_tokens_valid() -> None:
    assert secret.token_digest(secret.mint("other9", Kind.PERSONAL)) is not None


def test_a_clients_secret_is_no_tokens() -> None:
    assert secret.token_digest(secret.mint("ts", Kind.CLIENT)) is None


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda good: "", id="empty"),
        pytest.param(lambda good: good[:-1], id="cut"),
        pytest.param(lambda good: good + "0", id="longer"),
        pytest.param(lambda good: good + "\n", id="newline after it"),
        pytest.param(lambda good: " " + good, id="blank before it"),
        pytest.param(lambda good: good.upper(), id="upper case"),
        pytest.param(lambda good: good.replace("_", "-"), id="other separator"),
        pytest.param(lambda good: "x" * 20 + good, id="prefix too long"),
        pytest.param(lambda good: good[1:], id="prefix too short"),
        pytest.param(lambda good: good[:10] + "٣" + good[11:], id="a digit of another script"),
        pytest.param(lambda good: good[:-6] + "000000", id="wrong checksum"),
    ],
)
def test_what_is_not_shaped_so_is_not_looked_up(damage) -> None:
    assert secret.token_digest(damage(secret.mint("ts", Kind.PERSONAL))) is None


def test_a_client_id_is_of_the_same_alphabet() -> None:
    minted = secret.mint_client_id()
    assert len(minted) == 22
    assert set(minted) <= set(ALPHABET)
