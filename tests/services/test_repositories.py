from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.conftest import START, ManualClock, QueryRecorder
from tests.factories import make_token, make_user, origin_of
from tests.services.conftest import at_once, contents, events_of
from tokensrv.db import Store
from tokensrv.domain.caller import Refused
from tokensrv.errors import Forbidden, Invalid, NotFound
from tokensrv.services import repositories
from tokensrv.services.directory import users
from tokensrv.services.lifecycle import tokens
from tokensrv.services.pages import PageRequest
from tokensrv.services.records import UserRecord
from tokensrv.services.repositories import RuleRecord
from tokensrv.services.trail.events import COMMAND_LINE, Origin


def _widen(store: Store, origin: Origin, rule: RuleRecord) -> None:
    assert rule.user_id is not None
    repositories.add(store, origin, prefix="/", user_id=rule.user_id, access="write")


def _remove(store: Store, origin: Origin, rule: RuleRecord) -> None:
    repositories.remove(store, origin, rule.id)


VERBS: dict[str, Callable[[Store, Origin, RuleRecord], None]] = {"add": _widen, "remove": _remove}


@pytest.fixture
def alice(store: Store) -> UserRecord:
    return make_user(store)


@pytest.fixture
def bob(store: Store) -> UserRecord:
    return make_user(store, "bob")


def _add(store: Store, user: UserRecord, prefix: str, access: str = "read") -> RuleRecord:
    return repositories.add(store, COMMAND_LINE, prefix=prefix, user_id=user.id, access=access)


def _access(store: Store, user: UserRecord, repository: str) -> str:
    """Return what the rules let a user do."""
    reads, writes = (
        repositories.allows(store, user.id, repository, writes=writes) for writes in (False, True)
    )
    return f"{'r' if reads else '-'}{'w' if writes else '-'}"


def test_without_any_rule_everybody_may_do_everything(store: Store, alice: UserRecord) -> None:
    assert _access(store, alice, "team/app") == "rw"


@pytest.mark.parametrize(
    ("prefix", "repository", "expected"),
    [
        pytest.param("team/app", "team/app", "r-", id="itself"),
        pytest.param("team", "team/app", "r-", id="above"),
        pytest.param("/", "team/app", "r-", id="everything"),
        pytest.param("/team/app.git/", "team/app", "r-", id="as Git writes it"),
        pytest.param("team/ap", "team/app", "--", id="half a segment"),
        pytest.param("app", "team/app", "--", id="the end"),
        pytest.param("team/app/lib", "team/app", "--", id="below"),
        pytest.param("Team/app", "team/app", "--", id="another case"),
        pytest.param("te_m", "team/app", "--", id="no pattern of SQL's"),
    ],
)
def test_a_rule_is_about_whole_segments(
    store: Store, alice: UserRecord, prefix: str, repository: str, expected: str
) -> None:
    _add(store, alice, prefix)
    assert _access(store, alice, repository) == expected


def test_what_no_rule_allows_is_closed_to_everybody_else(
    store: Store, alice: UserRecord, bob: UserRecord, root: UserRecord
) -> None:
    _add(store, alice, "team/app", "write")
    assert _access(store, alice, "team/app") == "rw"
    for user, repository in ((alice, "team/lib"), (bob, "team/app"), (root, "team/app")):
        assert _access(store, user, repository) == "--"


def test_the_widest_of_several_rules_counts(store: Store, alice: UserRecord) -> None:
    _add(store, alice, "/")
    _add(store, alice, "team", "write")
    _add(store, alice, "team/app")
    assert _access(store, alice, "other") == "r-"
    assert _access(store, alice, "team/app") == "rw"


def test_a_question_is_one_query(
    store: Store, alice: UserRecord, query_recorder: QueryRecorder
) -> None:
    _add(store, alice, "team")
    query_recorder.clear()
    assert repositories.allows(store, alice.id, "team/app", writes=False)
    assert len(query_recorder.statements) == 1


def test_a_rule_is_shown_as_people_write_it(
    store: Store, alice: UserRecord, clock: ManualClock
) -> None:
    first = _add(store, alice, "team/app.git", "write")
    clock.advance(seconds=60)
    assert first == RuleRecord(
        id=first.id,
        prefix="team/app",
        user_id=alice.id,
        username="alice",
        access="write",
        created_at=START,
    )
    assert repositories.get(store, first.id) == first
    assert _add(store, alice, "/").prefix == "/"


def test_the_same_prefix_and_user_again_replaces_the_access(
    store: Store, alice: UserRecord, clock: ManualClock
) -> None:
    first = _add(store, alice, "team", "write")
    clock.advance(seconds=60)
    again = _add(store, alice, "/team/")
    assert (again.id, again.access, again.created_at) == (first.id, "read", START)
    assert _access(store, alice, "team/app") == "r-"
    assert repositories.count(store) == 1


def test_every_change_is_an_event_about_the_user(store: Store, alice: UserRecord) -> None:
    rule = _add(store, alice, "team", "write")
    _add(store, alice, "team", "read")
    _add(store, alice, "team", "read")
    repositories.remove(store, COMMAND_LINE, rule.id)
    found = [event for event in events_of(store) if event.action.startswith("repository_rule")]
    about: dict[str, Any] = {"user_id": alice.id, "prefix": "team", "via": "cli"}
    assert [(event.action.partition(".")[2], event.data) for event in found] == [
        ("added", about | {"access": "write"}),
        ("added", about | {"access": "read"}),
        ("removed", about | {"access": "read"}),
    ]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        pytest.param({"prefix": "team//app"}, "prefix", id="prefix"),
        pytest.param({"prefix": ""}, "prefix", id="no prefix"),
        pytest.param({"access": "admin"}, "access", id="access"),
        pytest.param({"access": ""}, "access", id="no access"),
    ],
)
def test_what_makes_no_rule_is_refused_by_name(
    store: Store, alice: UserRecord, wanted: dict[str, str], field: str
) -> None:
    values: dict[str, Any] = {"prefix": "team", "user_id": alice.id, "access": "read"} | wanted
    before = contents(store)
    with pytest.raises(Invalid) as refused:
        repositories.add(store, COMMAND_LINE, **values)
    assert refused.value.field == field
    assert contents(store) == before


def test_there_are_rules_for_those_alone_who_exist(store: Store, root: UserRecord) -> None:
    with pytest.raises(NotFound, match="User 77"):
        repositories.add(store, COMMAND_LINE, prefix="a", user_id=77, access="read")
    for ask in (repositories.get, lambda store, id: repositories.remove(store, COMMAND_LINE, id)):
        with pytest.raises(NotFound, match="Rule 77"):
            ask(store, 77)
    assert contents(store)["repository_rule"] == []


def test_rules_are_listed_the_oldest_first(
    store: Store, alice: UserRecord, bob: UserRecord
) -> None:
    made = [_add(store, user, name) for name in ("b", "a") for user in (bob, alice)]
    assert repositories.list_rules(store) == made
    assert repositories.list_rules(store, user_id=alice.id) == made[1::2]
    page = repositories.list_page(store, PageRequest(2, 3))
    assert (page.items, page.total, page.has_next) == ((made[3],), 4, False)


def test_without_the_last_rule_everything_is_open_again(
    store: Store, alice: UserRecord, bob: UserRecord
) -> None:
    rule = _add(store, alice, "team")
    assert _access(store, bob, "team/app") == "--"
    assert repositories.remove(store, COMMAND_LINE, rule.id) == rule
    assert _access(store, bob, "team/app") == "rw"


def test_deleting_the_user_of_the_last_rule_opens_nothing(
    store: Store, alice: UserRecord, bob: UserRecord, root: UserRecord
) -> None:
    rule = _add(store, alice, "team", "write")
    users.delete(store, COMMAND_LINE, alice.id)
    for user in (bob, root):
        assert _access(store, user, "team/app") == "--"
    (left,) = repositories.list_rules(store)
    assert (left.id, left.user_id, left.username) == (rule.id, None, None)
    assert repositories.count(store) == 1
    # An admin who wants everything open says so.
    repositories.remove(store, COMMAND_LINE, left.id)
    assert _access(store, bob, "team/app") == "rw"


def test_rules_of_deleted_users_do_not_stand_in_each_others_way(
    store: Store, alice: UserRecord, bob: UserRecord, root: UserRecord
) -> None:
    for user in (alice, bob):
        _add(store, user, "team")
        users.delete(store, COMMAND_LINE, user.id)
    again = make_user(store)
    assert _add(store, again, "team").username == "alice"
    assert [rule.username for rule in repositories.list_rules(store)] == [None, None, "alice"]


@pytest.mark.parametrize("verb", list(VERBS))
def test_a_user_changes_no_rule(store: Store, alice: UserRecord, verb: str) -> None:
    rule = _add(store, alice, "team")
    origin = origin_of(store, make_token(store, alice).secret)
    before = contents(store)
    with pytest.raises(Forbidden):
        VERBS[verb](store, origin, rule)
    assert contents(store) == before


@pytest.mark.parametrize("verb", list(VERBS))
def test_what_outlives_the_request_is_nothing_for_sudo(
    store: Store, root: UserRecord, alice: UserRecord, verb: str
) -> None:
    rule = _add(store, alice, "team")
    origin = origin_of(store, make_token(store, root, ("api", "sudo")).secret, sudo="alice")
    before = contents(store)
    with pytest.raises(Forbidden, match="Not allowed while using sudo"):
        VERBS[verb](store, origin, rule)
    assert contents(store) == before


@pytest.mark.parametrize("verb", list(VERBS))
def test_an_admin_whose_token_is_revoked_meanwhile_changes_no_rule(
    store: Store, root: UserRecord, alice: UserRecord, verb: str
) -> None:
    rule, new = _add(store, alice, "team"), make_token(store, root)
    origin = origin_of(store, new.secret)
    VERBS[verb](store, origin, rule)
    assert events_of(store)[-1].actor == "root"
    tokens.revoke(store, COMMAND_LINE, new.record.id)
    before = contents(store)
    with pytest.raises(Refused):
        VERBS[verb](store, origin, rule)
    assert contents(store) == before


def test_the_same_rule_made_at_once_is_one(store: Store, alice: UserRecord) -> None:
    made = at_once([lambda: _add(store, alice, "team", "write")] * 4)
    assert made == [made[0]] * 4
    assert repositories.list_rules(store) == [made[0]]


def test_nobody_who_is_deleted_at_once_has_a_rule_afterwards(
    store: Store, root: UserRecord
) -> None:
    for number in range(4):
        user = make_user(store, f"user{number}")
        rule = _add(store, user, "team")
        done = at_once(
            [
                partial(users.delete, store, COMMAND_LINE, user.id),
                partial(_add, store, user, "team", "write"),
                partial(_add, store, user, "other"),
                partial(repositories.remove, store, COMMAND_LINE, rule.id),
            ]
        )
        assert all(isinstance(one, RuleRecord | NotFound | None) for one in done), done
    assert {rule.user_id for rule in repositories.list_rules(store)} <= {None}
