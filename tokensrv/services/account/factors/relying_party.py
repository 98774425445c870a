"""The relying party: what this instance is to browsers and authenticators (WebAuthn Level 3).

It owns what they are asked and how their answers are verified; which passkeys there are, and what
was asked before, is kept by ``passkeys``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import (
    parse_authentication_credential_json,
    parse_registration_credential_json,
)
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from tokensrv.config import Settings
from tokensrv.services.records import UserRecord

_NAME: Final = "tokensrv"
_PORTS: Final = {"https": 443, "http": 80}
# How long a browser waits for its user, in milliseconds.
_TIMEOUT: Final = 5 * 60 * 1000
# Bytes of the longest name of a key (§7.1); databases cannot look up much longer ones.
_LONGEST_ID: Final = 1023


@dataclass(frozen=True, slots=True)
class Credential:
    """A key as an authenticator knows it: how to name it, and how to reach it."""

    id: bytes
    transports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewCredential(Credential):
    """A key that was just made, with what verifies it from now on."""

    public_key: bytes = field(repr=False)
    sign_count: int


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """This instance under its host's name; keys made under another name never count here."""

    id: str
    origin: str

    def creation_options(
        self, user: UserRecord, challenge: bytes, known: Sequence[Credential]
    ) -> str:
        """Return, as JSON, what makes a key on a device that has none of the ``known`` ones."""
        options = webauthn.generate_registration_options(
            rp_id=self.id,
            rp_name=_NAME,
            user_id=str(user.id).encode(),
            user_name=user.username,
            user_display_name=user.name,
            challenge=challenge,
            timeout=_TIMEOUT,
            exclude_credentials=_descriptors(known),
            authenticator_selection=AuthenticatorSelectionCriteria(
                # Phones carry only such keys over to the next phone.
                resident_key=ResidentKeyRequirement.PREFERRED,
                user_verification=UserVerificationRequirement.PREFERRED,
            ),
        )
        return webauthn.options_to_json(options)

    def request_options(self, challenge: bytes, known: Sequence[Credential]) -> str:
        """Return, as JSON, what has one of the ``known`` keys sign the challenge."""
        options = webauthn.generate_authentication_options(
            rp_id=self.id,
            challenge=challenge,
            timeout=_TIMEOUT,
            allow_credentials=_descriptors(known),
            user_verification=UserVerificationRequirement.PREFERRED,
        )
        return webauthn.options_to_json(options)

    def new_credential(self, answer: str, challenge: bytes) -> NewCredential | None:
        """Return the key that was made, None when this does not answer the challenge (§7.1)."""
        try:
            given = parse_registration_credential_json(answer)
            made = webauthn.verify_registration_response(
                credential=given,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=self.origin,
            )
        except Exception:  # noqa: BLE001  # Whatever makes its many parsers stumble is no key.
            return None
        if len(made.credential_id) > _LONGEST_ID:
            return None
        transports = tuple(transport.value for transport in given.response.transports or ())
        return NewCredential(
            made.credential_id, transports, made.credential_public_key, made.sign_count
        )

    def sign_count(
        self, answer: str, challenge: bytes, *, public_key: bytes, last_count: int
    ) -> int | None:
        """Return the key's new count, None when it did not sign the challenge (§7.2).

        A count that did not grow is a copy of the key at work, and refused.
        """
        try:
            return webauthn.verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=self.origin,
                credential_public_key=public_key,
                credential_current_sign_count=last_count,
            ).new_sign_count
        except Exception:  # noqa: BLE001  # Whatever makes its many parsers stumble is no signature.
            return None


def find(settings: Settings) -> RelyingParty | None:
    """Return what this instance is, None where browsers allow no passkeys.

    They want HTTPS and the name of a host (§5.1.3), or ``localhost``.
    """
    address = urlsplit(settings.external_url)
    host = address.hostname or ""
    if _is_ip(host) or not (address.scheme == "https" or host == "localhost"):
        return None
    has_port = address.port is not None and address.port != _PORTS[address.scheme]
    return RelyingParty(
        host, f"{address.scheme}://{host}" + (f":{address.port}" if has_port else "")
    )


def credential_id(answer: str) -> bytes | None:
    """Return which key an answer says that it is signed with, None when it says nothing."""
    try:
        return parse_authentication_credential_json(answer).raw_id
    except Exception:  # noqa: BLE001  # Whatever makes its many parsers stumble names no key.
        return None


def _descriptors(known: Sequence[Credential]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=credential.id,
            transports=[AuthenticatorTransport(word) for word in credential.transports],
        )
        for credential in known
    ]


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
