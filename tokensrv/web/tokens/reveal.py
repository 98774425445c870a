"""The reveal: a new secret, shown once, and commands that are ready to be pasted.

Only what the token's scopes open is offered. The hosts of Git and of the registry are not known
here, so that these two stand for people's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from flask import Response

from tokensrv.domain.scopes import closure
from tokensrv.http import context
from tokensrv.services.records import NewToken
from tokensrv.web.rendering import page


@dataclass(frozen=True, slots=True)
class Command:
    """A command for a shell, with what to know about it."""

    title: str
    note: str
    text: str = field(repr=False)


def reveal(new: NewToken, username: str, *, template: str, back: str, is_rotated: bool) -> Response:
    """Return the one page that holds the secret of a token of this user."""
    return page(
        template,
        new=new,
        commands=tuple(commands(new, username, context.settings().external_url)),
        back=back,
        is_rotated=is_rotated,
    )


def commands(new: NewToken, username: str, url: str) -> Iterator[Command]:
    """Yield what can be done with a new token, as its owner pastes it."""
    held, curl = closure(new.record.scopes), f'curl --header "PRIVATE-TOKEN: {new.secret}"'
    api = f"{url}/api/v4"
    if new.record.audience:
        # For the services that it was made for: here it only tells about itself.
        yield Command("curl", "What it may do.", f"{curl} {api}/personal_access_tokens/self")
        return
    if "read_user" in held:
        yield Command("curl", "Whose it is.", f"{curl} {api}/user")
    else:
        yield Command("curl", "What it may do.", f"{curl} {api}/personal_access_tokens/self")
    if "sudo" in held:
        note = "Put the name of a user in place of USERNAME."
        yield Command("As another user", note, f'{curl} --header "Sudo: USERNAME" {api}/user')
    if "read_repository" in held:
        note = "Git asks for a password: paste the token there. The host stands for your own."
        clone = f"git clone https://{username}@git.example.org/group/project.git"
        yield Command("Git", note, clone)
    if not held.isdisjoint({"read_registry", "write_registry"}):
        login = f"docker login registry.example.org --username {username} --password-stdin"
        yield Command("Docker", "The host stands for your own.", f"echo {new.secret} | {login}")
