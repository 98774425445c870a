"""Access: what each page asks of whoever opens it. This table is the only place that says so.

A page that does not stand here is closed. Whose token it is, or who is the last admin, the
services decide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tokensrv.services.account.sessions import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page asks for."""

    # How far the sign-in must have come; None: anybody may open it.
    stage: Stage | None = Stage.FULL
    # True: it is the same for whoever asks, so that it is shown without storage, too.
    is_file: bool = False
    # For admins; others are told that there is no such page.
    admin: bool = False
    # Its user must have proven lately who he is: it makes or changes credentials.
    fresh: bool = False
    # False: closed while an admin acts as somebody else.
    acting: bool = True
    # The page that shows this form, and the fields that may come back in its address after a
    # sign-in in between. None: the page itself. Never a field that holds a secret.
    form: str | None = None
    keeps: tuple[str, ...] = ()


_PUBLIC: Final = Page(stage=None)
_OWN: Final = Page()
# What makes a credential or takes a protection away.
_CREDENTIAL: Final = Page(fresh=True, acting=False)
_ADMIN: Final = Page(admin=True, acting=False)
_ADMIN_CREDENTIAL: Final = replace(_ADMIN, fresh=True)

# What comes back of a form for a new token.
_TOKEN: Final = ("name", "description", "expires_at", "scopes", "audience", "allowed_ips")
# Not the keys: somebody may have pasted a private one.
_OF_A_CLIENT: Final = (
    "name",
    "description",
    "allow",
    "sees",
    "scopes",
    "auth_methods",
    "introspection_signed_response_alg",
)

PAGES: Final[dict[str, Page]] = {
    "web.home.show": _OWN,
    "web.assets.show": replace(_PUBLIC, is_file=True),
    "web.docs.show": _PUBLIC,
    # Signing in.
    "web.sign_in.show": _PUBLIC,
    "web.sign_in.sign_in": _PUBLIC,
    "web.verify.show": Page(stage=Stage.SECOND_FACTOR),
    "web.verify.verify": Page(stage=Stage.SECOND_FACTOR),
    "web.passkey.ask": Page(stage=Stage.SECOND_FACTOR),
    "web.passkey.take": Page(stage=Stage.SECOND_FACTOR),
    "web.passkey.ask_again": Page(acting=False),
    "web.passkey.take_again": Page(acting=False, form="web.confirm.show"),
    "web.new_password.show": Page(stage=Stage.PASSWORD),
    "web.new_password.change": Page(stage=Stage.PASSWORD),
    "web.confirm.show": Page(acting=False),
    "web.confirm.confirm": Page(acting=False),
    "web.confirm.verify": Page(acting=False, form="web.confirm.show"),
    "web.reset.show": _PUBLIC,
    "web.reset.change": _PUBLIC,
    "web.leaving.sign_out": _PUBLIC,
    # Settings.
    "web.tokens.show": _OWN,
    "web.new_token.show": _CREDENTIAL,
    "web.new_token.create": replace(_CREDENTIAL, form="web.new_token.show", keeps=_TOKEN),
    "web.token_changes.ask_rotation": _CREDENTIAL,
    "web.token_changes.rotate": replace(
        _CREDENTIAL, form="web.token_changes.ask_rotation", keeps=("expires_at",)
    ),
    "web.token_changes.ask_revocation": _OWN,
    "web.token_changes.revoke": _OWN,
    "web.feed.read": _PUBLIC,
    "web.feed.ask": _CREDENTIAL,
    "web.feed.make": _CREDENTIAL,
    "web.feed.ask_revocation": _OWN,
    "web.feed.revoke": _OWN,
    "web.ssh_keys.show": _OWN,
    "web.ssh_keys.new": _CREDENTIAL,
    # Not the key: somebody may have pasted a private one.
    "web.ssh_keys.add": replace(
        _CREDENTIAL, form="web.ssh_keys.new", keeps=("title", "expires_at")
    ),
    "web.ssh_keys.ask_remove": _OWN,
    "web.ssh_keys.remove": _OWN,
    "web.account.show": Page(acting=False),
    "web.password.show": Page(acting=False),
    "web.password.change": Page(acting=False),
    "web.authenticator.begin": replace(_CREDENTIAL, form="web.account.show"),
    "web.authenticator.confirm": replace(_CREDENTIAL, form="web.account.show"),
    "web.authenticator.ask_remove": _CREDENTIAL,
    "web.authenticator.remove": _CREDENTIAL,
    "web.passkeys.new": _CREDENTIAL,
    "web.passkeys.options": replace(_CREDENTIAL, form="web.passkeys.new"),
    "web.passkeys.add": replace(_CREDENTIAL, form="web.passkeys.new", keeps=("name",)),
    "web.passkeys.ask_remove": _CREDENTIAL,
    "web.passkeys.remove": _CREDENTIAL,
    "web.recovery_codes.ask": _CREDENTIAL,
    "web.recovery_codes.make": _CREDENTIAL,
    "web.sessions.ask_end": Page(acting=False),
    "web.sessions.end": Page(acting=False),
    "web.sessions.ask_end_others": Page(acting=False),
    "web.sessions.end_others": Page(acting=False),
    "web.acted.show": _OWN,
    "web.acted.ask_revocation": _OWN,
    "web.acted.revoke": _OWN,
    # Administration.
    "web.overview.show": _ADMIN,
    "web.users.show": _ADMIN,
    "web.new_user.show": _ADMIN_CREDENTIAL,
    "web.new_user.create": replace(
        _ADMIN_CREDENTIAL,
        form="web.new_user.show",
        keeps=("username", "email", "name", "note", "role", "first_sign_in"),
    ),
    "web.user.show": _ADMIN,
    "web.user_edit.show": _ADMIN,
    "web.user_edit.change": replace(
        _ADMIN, form="web.user_edit.show", keeps=("username", "email", "name", "note")
    ),
    "web.user_changes.end_sessions": _ADMIN,
    "web.user_changes.reset_two_factor": _ADMIN_CREDENTIAL,
    "web.user_changes.promote": _ADMIN_CREDENTIAL,
    "web.user_changes.demote": _ADMIN,
    "web.user_changes.activate": _ADMIN,
    "web.user_changes.unblock": _ADMIN,
    "web.user_changes.unban": _ADMIN,
    "web.user_changes.deactivate": _ADMIN,
    "web.user_changes.block": _ADMIN,
    "web.user_changes.ban": _ADMIN,
    "web.user_deletion.show": _ADMIN_CREDENTIAL,
    "web.user_deletion.delete": _ADMIN_CREDENTIAL,
    "web.reset_link.show": _ADMIN_CREDENTIAL,
    "web.reset_link.make": _ADMIN_CREDENTIAL,
    "web.impersonation_tokens.show": _ADMIN,
    "web.impersonation_tokens.new": _ADMIN_CREDENTIAL,
    "web.impersonation_tokens.create": replace(
        _ADMIN_CREDENTIAL,
        form="web.impersonation_tokens.new",
        keeps=_TOKEN,
    ),
    "web.impersonation_tokens.ask_revocation": _ADMIN,
    "web.impersonation_tokens.revoke": _ADMIN,
    "web.user_ssh_keys.show": _ADMIN,
    "web.user_ssh_keys.ask_remove": _ADMIN,
    "web.user_ssh_keys.remove": _ADMIN,
    "web.acting.show": _ADMIN_CREDENTIAL,
    "web.acting.start": replace(_ADMIN_CREDENTIAL, form="web.acting.show", keeps=("reason",)),
    "web.inventory.show": _ADMIN,
    "web.inventory_export.show": _ADMIN,
    "web.inventory_selection.show": _ADMIN,
    "web.inventory_selection.revoke": replace(
        _ADMIN, form="web.inventory_selection.show", keeps=("id", "reason", "back")
    ),
    "web.inventory_token.show": _ADMIN,
    "web.inventory_revocation.show": _ADMIN,
    "web.inventory_revocation.revoke": replace(
        _ADMIN, form="web.inventory_revocation.show", keeps=("reason",)
    ),
    "web.clients.show": _ADMIN,
    "web.new_client.show": _ADMIN_CREDENTIAL,
    "web.new_client.create": replace(
        _ADMIN_CREDENTIAL, form="web.new_client.show", keeps=_OF_A_CLIENT
    ),
    "web.client.show": _ADMIN,
    "web.client_edit.show": _ADMIN_CREDENTIAL,
    "web.client_edit.change": replace(
        _ADMIN_CREDENTIAL, form="web.client_edit.show", keeps=(*_OF_A_CLIENT, "seen")
    ),
    "web.client_secret.show": _ADMIN_CREDENTIAL,
    "web.client_secret.rotate": _ADMIN_CREDENTIAL,
    "web.client_changes.disable": _ADMIN,
    "web.client_changes.enable": _ADMIN,
    "web.client_changes.delete": _ADMIN,
    "web.repositories.show": _ADMIN,
    "web.repositories.add": replace(
        _ADMIN, form="web.repositories.show", keeps=("prefix", "username", "access")
    ),
    "web.repositories.ask_removal": _ADMIN,
    "web.repositories.remove": _ADMIN,
    "web.events.show": _ADMIN,
    "web.events.detail": _ADMIN,
    "web.events.export": _ADMIN,
    "web.explain.show": _ADMIN,
    "web.explain.explain": replace(
        _ADMIN,
        form="web.explain.show",
        keeps=("id", "client_id", "sudo", "reason", "scope", "remote_ip"),
    ),
    "web.acting.stop": replace(_OWN, form="web.home.show"),
}
