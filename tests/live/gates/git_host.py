"""Git repositories behind nginx and ``git http-backend``, as the page says, and Git as a client."""

from __future__ import annotations

import os
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from uuid import uuid4

from tests.databases import Databases, opened
from tests.factories import make_token, make_user
from tests.live.gates.houses import opened_house
from tests.live.gates.proxies import CLIENT, settings_of
from tests.live.pages import followed
from tests.live.servers import Server
from tokensrv.config import load
from tokensrv.db import Store
from tokensrv.services.directory import users
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

PAGE = "docs/gates/git-http.md"
PASSWORD = "correct horse battery staple"
PATIENCE_SECONDS = 60
# A helper as good as any other: Git asks it once the gate has asked for a password.
HELPER = '!printf "username=%s\\npassword=%s\\n" "$LOGIN" "$SECRET" #'
# It tells whoever pushes what a hook can learn about him.
HOOK = "#!/bin/sh\nenv | grep -E 'USER|HTTP_' | sort\n"


@dataclass(frozen=True)
class Host:
    """Repositories behind the gate, and the folder where they and people's clones are."""

    server: Server
    store: Store
    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Return where the repositories are."""
        return f"http://127.0.0.1:{self.port}"

    def user(self) -> UserRecord:
        """Return a new user whose password is PASSWORD."""
        made = make_user(self.store, f"user-{uuid4().hex[:8]}")
        users.set_password(self.store, COMMAND_LINE, made.id, PASSWORD, is_expired=False)
        return made

    def token(self, *scopes: str, user: str = "alice") -> str:
        """Return the secret of a new token."""
        owner = users.find(self.store, user)
        assert owner is not None
        return make_token(self.store, owner, scopes).secret

    def repository(self) -> str:
        """Return the path of a new repository with the hook."""
        path = f"team/{uuid4().hex[:8]}.git"
        whole = self.folder / "repositories" / path
        subprocess.run(["git", "init", "--quiet", "--bare", whole], check=True)
        hook = whole / "hooks" / "post-receive"
        hook.write_text(HOOK)
        hook.chmod(0o755)
        return path

    def git(
        self, *arguments: str, secret: str = "", login: str = "git", headers: tuple[str, ...] = ()
    ) -> tuple[bool, str]:
        """Return whether Git was content, and all that it said."""
        options = [word for line in headers for word in ("-c", f"http.extraHeader={line}")]
        done = subprocess.run(
            ["git", "-c", f"credential.helper={HELPER}", *options, *arguments],
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder / "nobody"),
                "GIT_TERMINAL_PROMPT": "0",
                "LOGIN": login,
                "SECRET": secret,
                **{f"GIT_{who}_NAME": "A" for who in ("AUTHOR", "COMMITTER")},
                **{f"GIT_{who}_EMAIL": "a@example.org" for who in ("AUTHOR", "COMMITTER")},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        return done.returncode == 0, done.stdout

    def commit(self, folder: Path) -> Path:
        """Return the folder, which is a repository with a commit to push now."""
        for command in ("init", "add .", "commit --allow-empty --message a"):
            assert self.git("-C", str(folder), *command.split())[0]
        return folder

    def fetch(self, secret: str, *, path: str = "team/app.git", login: str = "git") -> str:
        """Return what Git said of a clone that may have failed; nothing if it did not."""
        target = str(self.folder / f"clone-{uuid4().hex[:8]}")
        command = ("clone", "--quiet", f"{self.url}/{path}", target)
        is_done, said = self.git(*command, secret=secret, login=login)
        assert is_done == Path(target).exists()
        return "" if is_done else said

    def push(self, secret: str, path: str, *headers: str, login: str = "git") -> tuple[bool, str]:
        """Return whether a push went through, and what Git said."""
        command = (
            "-C",
            str(self.folder / "work"),
            "push",
            f"{self.url}/{path}",
            "HEAD:refs/heads/main",
        )
        return self.git(*command, secret=secret, login=login, headers=headers)

    def ask(
        self, path: str, secret: str, *, method: str = "GET", login: str = "git", **headers: str
    ) -> HTTPResponse:
        """Return the answer to a request from another address, which Git itself cannot send."""
        pair = b64encode(f"{login}:{secret}".encode()).decode()
        connection = HTTPConnection("127.0.0.1", self.port, PATIENCE_SECONDS, (CLIENT, 0))
        sent = {"Authorization": f"Basic {pair}"} | headers
        connection.request(method, path, headers=sent)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer


@contextmanager
def opened_host(folder: Path, databases: Databases) -> Iterator[Host]:
    """Give a new one once everything is done that the page says."""
    page = folder / "page"
    with opened_house(settings_of(PAGE), folder, databases) as house:
        variables = house.variables | {"HOME": str(page)}
        with (
            followed(PAGE, house.server, variables, page, to_the_end=True) as ports,
            opened(load(house.server.instance.environment)) as store,
        ):
            found = Host(house.server, store, page, int(ports("8080")))
            (page / "work").mkdir()
            found.commit(page / "work")
            yield found
