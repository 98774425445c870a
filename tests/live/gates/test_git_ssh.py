"""Git over SSH with Debian's OpenSSH and PAM, set up as the page says."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection

import pytest

from tests.databases import opened
from tests.factories import make_token, make_user
from tests.live.gates.sshd import PAGE, Sshd, sshd
from tests.live.pages import blocks
from tests.live.servers import Server
from tests.services.conftest import events_of
from tokensrv.config import load
from tokensrv.db import Store
from tokensrv.domain.secret import Kind, mint
from tokensrv.services.account.throttle import TOKEN
from tokensrv.services.directory import user_states, users
from tokensrv.services.keys import ssh_keys
from tokensrv.services.lifecycle import tokens
from tokensrv.services.lifecycle.token_values import TokenChanges
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

# What decides does not differ from one database to the other, and sshd takes its time.
pytestmark = pytest.mark.sqlite

# One connection for several commands, as people set it up to be asked once.
SHARED = "-o ControlMaster=auto -o ControlPath=%d/shared -o ControlPersist=60"
WITH_KEY = "ssh -i key -F ssh_config -o BatchMode=yes git@git.example.com"
REPOSITORY = "alice@git.example.com:team/app"
GUESSER, ELSEWHERE = "127.0.0.3", "127.0.0.2"
# Connections without a login that the sshd of the page lets stand.
MORE_THAN_ALL = 250


@pytest.fixture(scope="module")
def ssh(live_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(live_server, tmp_path_factory.mktemp("ssh")) as found:
        yield found


@pytest.fixture
def store(ssh: Sshd) -> Iterator[Store]:
    with opened(load(ssh.server.instance.environment)) as store:
        yield store


@pytest.fixture
def alice(store: Store) -> UserRecord:
    found = users.find(store, "alice")
    assert found is not None
    return found


def unknown() -> str:
    """Return a token that has never been made."""
    return mint("ts", Kind.PERSONAL)


def ask_git(server: Server, secret: str) -> int:
    """Return how the gate for Git over HTTP answers the guesser."""
    pair = b64encode(f"alice:{secret}".encode()).decode()
    asked = {"X-Original-Method": "GET", "X-Original-URI": "/team/app.git/info/refs"}
    with closing(HTTPConnection("127.0.0.1", server.port, source_address=(GUESSER, 0))) as http:
        http.request("GET", "/gate/git", headers=asked | {"Authorization": f"Basic {pair}"})
        return http.getresponse().status


def test_his_command_is_forced_before_a_token_lets_anybody_in() -> None:
    # PAM counts at once, and what is not forced is a shell of the account of the instance.
    installed = [
        block["code"].split()[3] for block in blocks(PAGE) if "--mode 644" in block["code"]
    ]
    assert installed == ["tokensrv.conf", "tokensrv.pam"]


def test_the_page_does_what_it_says(ssh: Sshd, store: Store, alice: UserRecord) -> None:
    [key] = ssh_keys.live_keys(store, alice.id)
    assert key.last_used_at is not None
    made = events_of(store, "token.created")[-1]
    assert (made.actor, made.ip, made.data["via"]) == ("alice", "127.0.0.1", "ssh")


def test_a_token_as_the_password_of_one_connection_does_what_it_may_at_the_time(
    ssh: Sshd, store: Store, alice: UserRecord
) -> None:
    token = make_token(store, alice, ("write_repository",))
    options = SHARED.replace("%d", str(ssh.folder)) + " -o PreferredAuthentications=password"
    cloned = ssh.git("clone", REPOSITORY, "../clone", secret=token.secret, options=options)
    assert cloned.returncode == 0, cloned.stderr
    assert (ssh.folder / "clone" / ".git").is_dir()
    pushed = ssh.git("push", REPOSITORY, "main:more", secret="", options=options)
    assert "main -> more" in pushed.stderr
    tokens.change(store, COMMAND_LINE, token.record.id, TokenChanges(scopes=("read_repository",)))
    pushed = ssh.git("push", REPOSITORY, "main:other", secret="", options=options)
    assert pushed.stderr.startswith("You are not allowed to upload code.\n")
    tokens.revoke(store, COMMAND_LINE, token.record.id)
    refused = ssh.git("ls-remote", REPOSITORY, secret="", options=options)
    assert refused.stderr.startswith("Access denied.\n")
    closed = f"ssh -F ssh_config {options} -O exit alice@git.example.com"
    assert ssh.inside(closed).returncode == 0
    checks = [event.data["check"] for event in events_of(store, "gate.refused")]
    assert checks[-2:] == ["wanted", "revoked"]


def test_pam_refuses_the_token_of_somebody_else_and_one_for_something_else(
    ssh: Sshd, store: Store, alice: UserRecord
) -> None:
    others = make_token(store, make_user(store, "bob"))
    for token, *expected in (
        (others, "bob", "credentials"),
        (make_token(store, alice, ("read_user",)), "alice", "wanted"),
    ):
        asking = "pamtester -I rhost=192.0.2.7 sshd alice authenticate"
        assert ssh.inside(asking, given=f"{token.secret}\n").returncode != 0
        event = events_of(store, "gate.refused")[-1]
        assert [event.ip, event.actor, event.data["check"]] == ["192.0.2.7", *expected]


def test_whoever_guesses_tokens_is_stopped_and_locks_nobody_out(
    ssh: Sshd, store: Store, alice: UserRecord
) -> None:
    # One budget for all gates: what is left of it is spent where it costs milliseconds.
    assert not ssh.come(unknown(), GUESSER).stdout
    in_between = [ask_git(ssh.server, unknown()) for _ in range(TOKEN.count - 2)]
    assert in_between == [401] * (TOKEN.count - 2)
    stopped = ssh.come(unknown(), GUESSER)
    assert (stopped.returncode, stopped.stdout) == (255, "")
    assert "Permission denied (password,keyboard-interactive)." in stopped.stderr
    good = make_token(store, alice, ("read_repository",)).secret
    for address in (ELSEWHERE, GUESSER):
        assert ssh.come(good, address).stdout == "Welcome to tokensrv, @alice!\n"
    refused = [event for event in events_of(store, "gate.refused") if event.ip == GUESSER]
    told = [
        (event.data["method"], event.data["path"], event.data["check"])
        for event in refused
        if event.data["gate"] == "ssh"
    ]
    assert told == [("login", "alice", check) for check in ("unknown", "too_many") for _ in "12"]
    assert len(refused) > len(told)


def test_whoever_opens_all_connections_that_there_are_keeps_nobody_else_from_one(
    ssh: Sshd,
) -> None:
    with ExitStack() as held:
        for _ in range(MORE_THAN_ALL):
            held.enter_context(ssh.connect(GUESSER))
        # Where it is full, chance decides who gets one: nobody has so much luck.
        others = [held.enter_context(ssh.connect(ELSEWHERE)) for _ in range(10)]
        assert [other.recv(8) for other in others] == [b"SSH-2.0-"] * 10


def test_a_key_that_nobody_has_opens_nothing_and_is_no_refusal(ssh: Sshd, store: Store) -> None:
    before = events_of(store)
    ssh.inside('ssh-keygen -q -t ed25519 -N "" -f other')
    refused = ssh.inside(WITH_KEY.replace("-i key", "-i other"))
    assert (refused.returncode, refused.stdout) == (255, "")
    assert "Permission denied (publickey)" in refused.stderr
    assert events_of(store) == before


def test_a_blocked_user_does_not_get_in_with_his_key(
    ssh: Sshd, store: Store, alice: UserRecord
) -> None:
    user_states.block(store, COMMAND_LINE, alice.id)
    try:
        done = ssh.inside(WITH_KEY)
    finally:
        user_states.unblock(store, COMMAND_LINE, alice.id)
    assert "Permission denied (publickey)" in done.stderr
    event = events_of(store, "gate.refused")[-1]
    assert (event.actor, event.data["gate"], event.data["check"]) == ("alice", "ssh", "owner")


def test_a_key_pushes_until_it_is_removed(ssh: Sshd, store: Store, alice: UserRecord) -> None:
    ssh_command = "ssh -i $PWD/key -F $PWD/ssh_config -o BatchMode=yes"
    push = (
        f'GIT_SSH_COMMAND="{ssh_command}" git -C app push git@git.example.com:team/app main:by-key'
    )
    assert "main -> by-key" in ssh.inside(push).stderr
    [key] = ssh_keys.live_keys(store, alice.id)
    ssh_keys.remove(store, COMMAND_LINE, alice.id, key.id)
    assert "Permission denied (publickey)" in ssh.inside(WITH_KEY).stderr
