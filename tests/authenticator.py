"""An authenticator in software: it makes a key for a site and signs what the site asks."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import bytes_to_base64url

USER_PRESENT, USER_VERIFIED, HAS_KEY = 0x01, 0x04, 0x40


@dataclass
class Authenticator:
    """A device with one key (ES256) that is asked at one address, without attestation."""

    origin: str
    count: int = 0
    verifies_user: bool = True
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def make(self, options: str, **client_data: Any) -> str:
        """Return what ``navigator.credentials.create()`` answers, as JSON."""
        wanted = json.loads(options)
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + self._public_key()
        data = self._data(wanted["rp"]["id"], HAS_KEY) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        said = self._client_data("webauthn.create", wanted, client_data)
        return self._answer(
            clientDataJSON=said, attestationObject=attestation, transports=["internal", "odd"]
        )

    def sign(self, options: str, **client_data: Any) -> str:
        """Return what ``navigator.credentials.get()`` answers, as JSON."""
        wanted = json.loads(options)
        self.count += 1
        data = self._data(wanted["rpId"])
        said = self._client_data("webauthn.get", wanted, client_data)
        signature = self.key.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(SHA256()))
        return self._answer(clientDataJSON=said, authenticatorData=data, signature=signature)

    def _data(self, rp_id: str, flags: int = 0) -> bytes:
        flags |= USER_PRESENT | (USER_VERIFIED if self.verifies_user else 0)
        return (
            hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")
        )

    def _public_key(self) -> bytes:
        point = self.key.public_key().public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (point.x, point.y))
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})

    def _client_data(self, kind: str, wanted: Any, changed: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": wanted["challenge"], "origin": self.origin}
        return json.dumps(said | changed).encode()

    def _answer(self, **response: Any) -> str:
        encoded = {
            name: bytes_to_base64url(value) if isinstance(value, bytes) else value
            for name, value in response.items()
        }
        own = bytes_to_base64url(self.id)
        return json.dumps({"id": own, "rawId": own, "type": "public-key", "response": encoded})
