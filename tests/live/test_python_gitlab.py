"""python-gitlab, unmodified, against a real server of two workers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import gitlab
import pytest
from gitlab.v4.objects import User

from tests.live.servers import Server
from tests.ssh_keys import new_line


@pytest.fixture
def admin(live_server: Server) -> gitlab.Gitlab:
    """Return a client signed in as the first admin."""
    return gitlab.Gitlab(live_server.url, private_token=live_server.instance.admin_token)


@pytest.fixture
def alice(admin: gitlab.Gitlab) -> User:
    """Return a user of this test's own."""
    username = f"alice-{uuid4().hex[:8]}"
    return admin.users.create(
        {
            "username": username,
            "email": f"{username}@example.org",
            "name": "Alice",
            "force_random_password": True,
        }
    )


def as_user(live_server: Server, secret: str, **options: object) -> gitlab.Gitlab:
    """Return a client signed in with this token."""
    return gitlab.Gitlab(live_server.url, private_token=secret, **options)


def in_days(days: int) -> str:
    """Return the day so many days from now, as GitLab writes dates."""
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def test_auth_tells_who_i_am(admin: gitlab.Gitlab) -> None:
    admin.auth()
    assert admin.user is not None
    assert admin.user.username == "root"
    assert admin.user.is_admin is True


def test_every_other_way_to_present_the_token_works(live_server: Server) -> None:
    bearer = gitlab.Gitlab(live_server.url, oauth_token=live_server.instance.admin_token)
    bearer.auth()
    assert bearer.user is not None
    assert bearer.user.username == "root"


def test_a_wrong_token_is_an_authentication_error(live_server: Server) -> None:
    with pytest.raises(gitlab.GitlabAuthenticationError) as refused:
        as_user(live_server, "tsp_nothing").auth()
    assert refused.value.response_code == 401


def test_users_are_created_listed_found_changed_and_deleted(
    admin: gitlab.Gitlab, alice: User
) -> None:
    assert admin.users.get(alice.id).username == alice.username
    assert [user.id for user in admin.users.list(username=alice.username.upper())] == [alice.id]
    assert alice.id in [user.id for user in admin.users.list(search="alice", iterator=True)]
    alice.name = "Alice Liddell"
    alice.save()
    assert admin.users.get(alice.id).name == "Alice Liddell"
    alice.delete()
    with pytest.raises(gitlab.GitlabGetError) as gone:
        admin.users.get(alice.id)
    assert gone.value.response_code == 404


def test_block_and_unblock_follow_the_state(admin: gitlab.Gitlab, alice: User) -> None:
    assert alice.block() is True
    assert alice.state == "blocked"
    assert alice.block() is None
    assert admin.users.get(alice.id).state == "blocked"
    assert alice.unblock() is True
    assert alice.unblock() is False
    assert admin.users.get(alice.id).state == "active"


def test_a_blocked_user_cannot_use_his_token(live_server: Server, alice: User) -> None:
    secret = alice.personal_access_tokens.create({"name": "mine", "scopes": ["api"]}).token
    alice.block()
    with pytest.raises(gitlab.GitlabHttpError) as refused:
        as_user(live_server, secret).http_get("/user")
    assert refused.value.response_code == 403
    alice.unblock()
    as_user(live_server, secret).auth()


def test_personal_access_tokens_live_and_die(
    live_server: Server, admin: gitlab.Gitlab, alice: User
) -> None:
    made = alice.personal_access_tokens.create(
        {"name": "deploy", "scopes": "read_api", "expires_at": in_days(30)}
    )
    assert made.token.startswith("tsp_")
    assert made.scopes == ["read_api"]
    mine = as_user(live_server, made.token)
    assert mine.personal_access_tokens.get("self").id == made.id
    assert [token.id for token in mine.personal_access_tokens.list()] == [made.id]

    listed = admin.personal_access_tokens.list(user_id=alice.id, state="active", search="DEPL")
    assert [token.id for token in listed] == [made.id]
    assert admin.personal_access_tokens.list(user_id=alice.id, revoked=True) == []

    rotated = admin.personal_access_tokens.get(made.id)
    rotated.rotate()
    assert rotated.token != made.token
    with pytest.raises(gitlab.GitlabAuthenticationError):
        as_user(live_server, made.token).auth()

    admin.personal_access_tokens.delete(rotated.id)
    with pytest.raises(gitlab.GitlabAuthenticationError):
        as_user(live_server, rotated.token).auth()
    assert admin.personal_access_tokens.get(rotated.id).revoked is True


def test_a_token_rotates_itself(live_server: Server, alice: User) -> None:
    made = alice.personal_access_tokens.create({"name": "robot", "scopes": ["self_rotate"]})
    robot = as_user(live_server, made.token).personal_access_tokens.get("self")
    robot.rotate(self_rotate=True, expires_at=in_days(10))
    renewed = as_user(live_server, robot.token).personal_access_tokens.get("self")
    assert renewed.expires_at == in_days(10)


def test_a_token_deletes_itself(live_server: Server, alice: User) -> None:
    made = alice.personal_access_tokens.create({"name": "brief", "scopes": ["read_user"]})
    as_user(live_server, made.token).personal_access_tokens.delete("self")
    with pytest.raises(gitlab.GitlabAuthenticationError):
        as_user(live_server, made.token).auth()


def test_impersonation_tokens_act_as_their_owner(live_server: Server, alice: User) -> None:
    made = alice.impersonationtokens.create({"name": "support", "scopes": ["api"]})
    assert made.impersonation is True
    acting = as_user(live_server, made.token)
    acting.auth()
    assert acting.user is not None
    assert acting.user.id == alice.id
    assert made.id in [token.id for token in alice.impersonationtokens.list(state="active")]
    assert made.id not in [token.id for token in acting.personal_access_tokens.list()]
    alice.impersonationtokens.delete(made.id)
    assert alice.impersonationtokens.list(state="active") == []


def test_ssh_keys_are_added_listed_and_deleted(live_server: Server, alice: User) -> None:
    secret = alice.personal_access_tokens.create({"name": "mine", "scopes": ["api"]}).token
    mine = as_user(live_server, secret)
    mine.auth()
    assert mine.user is not None
    added = mine.user.keys.create({"title": "laptop", "key": new_line()})
    given = alice.keys.create({"title": "desk", "key": new_line(), "expires_at": in_days(9)})
    assert [key.title for key in mine.user.keys.list()] == ["laptop", "desk"]
    assert mine.user.keys.get(given.id).expires_at == f"{in_days(9)}T00:00:00.000Z"
    with pytest.raises(gitlab.GitlabCreateError) as taken:
        mine.user.keys.create({"title": "again", "key": added.key})
    assert "has already been taken" in str(taken.value)
    added.delete()
    alice.keys.delete(given.id)
    assert mine.user.keys.list() == []


def test_sudo_lists_gets_and_deletes_as_the_user(
    live_server: Server, admin: gitlab.Gitlab, alice: User
) -> None:
    made = alice.personal_access_tokens.create({"name": "hers", "scopes": ["api"]})
    listed = admin.personal_access_tokens.list(sudo=alice.username)
    assert [token.id for token in listed] == [made.id]
    assert admin.personal_access_tokens.get(made.id, sudo=alice.id).name == "hers"
    assert admin.http_get("/user", sudo=alice.username.upper())["id"] == alice.id
    admin.personal_access_tokens.delete(made.id, sudo=alice.username)
    with pytest.raises(gitlab.GitlabAuthenticationError):
        as_user(live_server, made.token).auth()


def test_sudo_cannot_create(admin: gitlab.Gitlab, alice: User) -> None:
    with pytest.raises(gitlab.GitlabCreateError) as refused:
        alice.personal_access_tokens.create(
            {"name": "lasting", "scopes": ["api"]}, sudo=alice.username
        )
    assert refused.value.response_code == 403
    assert admin.personal_access_tokens.list(user_id=alice.id) == []


def test_sudo_to_nobody_is_not_found(admin: gitlab.Gitlab) -> None:
    with pytest.raises(gitlab.GitlabHttpError) as refused:
        admin.http_get("/user", sudo="nobody-at-all")
    assert refused.value.response_code == 404


def test_iterators_walk_every_page(admin: gitlab.Gitlab, alice: User) -> None:
    for number in range(25):
        alice.personal_access_tokens.create({"name": f"t{number:02}", "scopes": ["read_user"]})
    walk = admin.personal_access_tokens.list(
        user_id=alice.id, sort="name_asc", per_page=10, iterator=True
    )
    assert walk.total == 25
    assert walk.total_pages == 3
    assert [token.name for token in walk] == [f"t{number:02}" for number in range(25)]


def test_users_are_walked_by_keyset(admin: gitlab.Gitlab, alice: User) -> None:
    walk = admin.users.list(
        iterator=True, pagination="keyset", order_by="id", sort="asc", per_page=1
    )
    ids = [user.id for user in walk]
    assert ids == sorted(set(ids))
    assert alice.id in ids
