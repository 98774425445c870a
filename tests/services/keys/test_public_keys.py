"""Public keys of SSH, as OpenSSH's own ssh-keygen wrote them."""

from __future__ import annotations

import base64
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.errors import InvalidRecord
from tokensrv.services.keys import public_keys

ED25519 = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHdgY8cJLLyWBxb5auWwKYr5/Jz6snEaLXYAEq3ZIhh7",
    "SHA256:/cUIYN04GypyJB7ghyEL9QELeq1OArFVZnN099yhpsg",
)
RSA_1024 = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCh80mtsQhFOpgrmeZ2/6Mipm0cgcaGFL6WaxCSkV53yF2Q4jCN3oLR"
    "+17+vyxw4x6S+wcwQT134ET3bv6BGg+qxcmWBe2iLl6SPC62d0t9UUwZsSrVV6qJP7iT9crIvGnnv92HZODcjZCk3r4X"
    "HocCswJMPF6hMnndWJUe0/Qr7Q=="
)
DSA = (
    "ssh-dss AAAAB3NzaC1kc3MAAACBAIoAePLVB1eXAWqCjE5UrWR9u4I7LppN5/KY45t5KDUYZx3mDngD4Q/jrBv882G3"
    "REjhPi2WKdU5T8lnzEV/aWygixvxSpD5saiJXRegmsjX8h5oS/yd4GZ/hH7KHbiw4dvnXi/EcNeLK88J5T1/xddJLIQL"
    "wt1lEXEQi0vuwO/pAAAAFQDIQUSAIMsVTLw/BdEMzzi+WuCYwwAAAIB5xBEO3kJqTl3VMFEAtty1+AYnNcJr5iU3nF/W"
    "XZDNnZN0lmaOFhS/khC4km0CpoH4nQ7N+8BEAOWENsA0mhk7h+ENRCDI5OBL2Y5pKmRKb/qG3icPi715AWHYE2KW+RLV"
    "QfJpIpt1/QTTL+cuBdXbD8KzeOzgs/PbZ2qYLdoLywAAAIEAifxgyopfJAKaL+4ji3srvp+7gpkX4n7lybdaiNqJ72wJ"
    "ykE82spJAkj51PWlw4Rj062zAutVYB1z7V07smlrFrQH+Ac/3OxJyzOQWINhSOjfuVf37kiZLw4CM47jx9yU4xRsveic"
    "NUrEG6zzBiVRtlj98rOo7cOvgazkFbpt7ko="
)


def strings(*parts: bytes) -> bytes:
    """Return byte strings as SSH writes them (RFC 4251 §5)."""
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def line(kind: str, *parts: bytes) -> str:
    """Return the line of a key that consists of these strings (RFC 4253 §6.6)."""
    return f"{kind} {base64.b64encode(strings(kind.encode(), *parts)).decode()}"


def elliptic(curve: ec.EllipticCurve) -> str:
    public = ec.generate_private_key(curve).public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


RAW = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
POINT = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
)
FLAT_POINT = bytes([2 + POINT[-1] % 2]) + POINT[1:33]
RSA = rsa.generate_private_key(65537, 2048).public_key()
MODULUS = RSA.public_numbers().n.to_bytes(257, "big")
HARDWARE_ED25519 = line("sk-ssh-ed25519@openssh.com", RAW, b"ssh:")
HARDWARE_P256 = line("sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", POINT, b"ssh:work")


def refusal(pasted: str) -> str:
    with pytest.raises(InvalidRecord) as refused:
        public_keys.read(pasted)
    assert refused.value.field == "key"
    return refused.value.problem


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(ED25519[0], id="ed25519"),
        pytest.param(elliptic(ec.SECP256R1()), id="p-256"),
        pytest.param(elliptic(ec.SECP384R1()), id="p-384"),
        pytest.param(elliptic(ec.SECP521R1()), id="p-521"),
        pytest.param(line("ssh-rsa", b"\1\0\1", MODULUS), id="rsa"),
        pytest.param(HARDWARE_ED25519, id="ed25519 on hardware"),
        pytest.param(HARDWARE_P256, id="p-256 on hardware"),
    ],
)
def test_a_key_of_each_kind_is_kept_without_what_stands_behind_it(key: str) -> None:
    found = public_keys.read(f"\n  {key}   me@host and more \n")
    assert (found.text, found.comment) == (key, "me@host and more")
    assert public_keys.read(found.text).comment == ""


def test_the_fingerprint_is_the_one_that_openssh_shows() -> None:
    key, fingerprint = ED25519
    found = public_keys.read(key).fingerprint
    assert public_keys.shown(found) == fingerprint
    assert public_keys.find_fingerprint(fingerprint) == found


@pytest.mark.parametrize(
    "text", ["", "SHA256:", "SHA256", ED25519[1][7:], f"{ED25519[1]}=", "MD5:00:11", "SHA256:é"]
)
def test_what_openssh_never_shows_is_no_fingerprint(text: str) -> None:
    found = public_keys.find_fingerprint(text)
    assert found is None or len(found) != 32


@pytest.mark.parametrize("kind", [PrivateFormat.OpenSSH, PrivateFormat.PKCS8])
def test_a_private_key_is_refused_and_not_repeated(kind: PrivateFormat) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, kind, NoEncryption()).decode()
    for pasted in (pem, pem.replace("\n", " ")):
        assert refusal(pasted) == "is a private key; give the public half alone"


@pytest.mark.parametrize(
    ("pasted", "problem"),
    [
        pytest.param("", "can't be blank", id="nothing"),
        pytest.param(" \n\t", "can't be blank", id="blanks"),
        pytest.param(f"{ED25519[0]}\n{DSA}", "should be a single line", id="two keys"),
        pytest.param(f"{ED25519[0]}\u2028x", "should be a single line", id="another line's end"),
        pytest.param("ssh-ed25519", "is no complete public key", id="a type alone"),
        pytest.param(ED25519[0][:-4], "is no complete public key", id="cut"),
        pytest.param(f"{ED25519[0]}AAAA", "is no complete public key", id="with more behind it"),
        pytest.param(
            f"ssh-rsa {ED25519[0].split()[1]}", "is no complete public key", id="another type"
        ),
        pytest.param("ssh-ed25519 ssh-ed25519", "is no complete public key", id="no base64"),
        pytest.param("ssh-ed25519 Ä\ud800", "is no complete public key", id="no ASCII"),
        pytest.param(
            f"{ED25519[0]} {'x' * 8192}", "is too long", id="a comment that goes on and on"
        ),
        pytest.param(
            RSA_1024, "is too short or too long: RSA needs 2048 to 16384 bits", id="short rsa"
        ),
        pytest.param(
            line("ssh-rsa", b"\1\0\1", b"\0" + MODULUS),
            "is no complete public key",
            id="a number in another spelling",
        ),
        pytest.param(
            line("ecdsa-sha2-nistp256", b"nistp256", FLAT_POINT),
            "is no complete public key",
            id="a point in another spelling",
        ),
        pytest.param(
            line("sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", FLAT_POINT, b"ssh:"),
            "is no complete public key",
            id="such a point on hardware",
        ),
        pytest.param(
            line("ecdsa-sha2-nistp256", b"nistp256", b""),
            "is no complete public key",
            id="no point at all",
        ),
        pytest.param(
            line("sk-ssh-ed25519@openssh.com", RAW, b"https:"),
            "is no complete public key",
            id="of a web page",
        ),
    ],
)
def test_what_is_no_good_key_is_refused(pasted: str, problem: str) -> None:
    assert refusal(pasted) == problem


@pytest.mark.parametrize(
    "pasted",
    [
        pytest.param(DSA, id="DSA"),
        pytest.param(f'command="sh" {ED25519[0]}', id="options"),
        pytest.param(f"restrict {ED25519[0]}", id="an option"),
        pytest.param(f"ssh-ed25519-cert-v01@openssh.com {ED25519[0]}", id="a certificate"),
        pytest.param(f"cert-authority {ED25519[0]}", id="an authority"),
        pytest.param(ED25519[0].split()[1], id="no type"),
        pytest.param(f"* {ED25519[0]}", id="a known host"),
    ],
)
def test_whatever_else_stands_in_front_of_a_key_is_refused(pasted: str) -> None:
    assert refusal(pasted) == (
        "must begin with its type, which is one of ssh-ed25519, ecdsa-sha2-nistp256,"
        " ecdsa-sha2-nistp384, ecdsa-sha2-nistp521, ssh-rsa, sk-ssh-ed25519@openssh.com,"
        " sk-ecdsa-sha2-nistp256@openssh.com"
    )


@given(kind=st.sampled_from(public_keys.KINDS), parts=st.lists(st.binary(max_size=40), max_size=4))
def test_whatever_a_key_consists_of_it_is_taken_as_it_is_or_refused(
    kind: str, parts: list[bytes]
) -> None:
    pasted = line(kind, *parts)
    try:
        found = public_keys.read(pasted)
    except InvalidRecord as problem:
        refused = str(problem)
        found = None
    assert refused.startswith("key is ") if found is None else found.text == pasted


@given(cut=st.integers(min_value=0))
def test_a_part_of_a_key_is_no_key(cut: int) -> None:
    whole = strings(b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", POINT, b"ssh:work")
    part = base64.b64encode(whole[: cut % len(whole)]).decode()
    with pytest.raises(InvalidRecord):
        public_keys.read(f"sk-ecdsa-sha2-nistp256@openssh.com {part}")
