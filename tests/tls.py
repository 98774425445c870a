"""A certificate of this machine's own, as `tokensrv serve` shows one."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Tls:
    """Two PEM files."""

    certificate: Path
    key: Path


def private_key(password: bytes | None = None) -> bytes:
    """Return a new key in PEM."""
    return _pem(ec.generate_private_key(ec.SECP256R1()), password)


def make_certificate(folder: Path) -> Tls:
    """Return a new certificate of 127.0.0.1, signed by itself, in the folder's two files."""
    made = Tls(folder / "certificate.pem", folder / "key.pem")
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(_pem(key, None))
    return made


def _pem(key: ec.EllipticCurvePrivateKey, password: bytes | None) -> bytes:
    sealed = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed)
