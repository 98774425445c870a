from __future__ import annotations

import pytest

from tests.oauth.conftest import basic
from tokensrv.gate.credential import Credential, Unreadable, read

READ = [
    pytest.param(None, None, None, id="nothing"),
    pytest.param("Bearer s", None, Credential("s"), id="bearer"),
    pytest.param("bEARER   s  ", None, Credential("s"), id="bearer in other letters"),
    pytest.param(None, " s ", Credential("s"), id="PRIVATE-TOKEN"),
    pytest.param(basic("alice", "s"), None, Credential("s", "alice"), id="Basic"),
    pytest.param(basic("alice", "a:b"), None, Credential("a:b", "alice"), id="Basic with a colon"),
    pytest.param("Bearer s", "s", Credential("s"), id="the same twice"),
    pytest.param(basic("alice", "s"), "s", Credential("s", "alice"), id="the same with a name"),
]


@pytest.mark.parametrize(("authorization", "private_token", "found"), READ)
def test_what_is_presented(
    authorization: str | None, private_token: str | None, found: Credential | None
) -> None:
    assert read(authorization, private_token) == found


UNREADABLE = [
    pytest.param("", None, id="a blank header"),
    pytest.param("  ", None, id="blanks"),
    pytest.param(None, "", id="GitLab's header blank"),
    pytest.param(None, " ", id="blanks in GitLab's header"),
    pytest.param("", "", id="both blank"),
    pytest.param("Bearer s", " ", id="GitLab's header blank beside a good one"),
    pytest.param("", "s", id="a blank one beside GitLab's header"),
    pytest.param("Bearer", None, id="bearer without a token"),
    pytest.param("Bearer a=b", None, id="parameters in place of a token"),
    pytest.param("s", None, id="no scheme"),
    pytest.param("Digest username=alice", None, id="another scheme"),
    pytest.param("Basic !", None, id="no base64"),
    pytest.param("Basic /w==", None, id="no UTF-8"),
    pytest.param("Basic \xff", None, id="letters that base64 does not have"),
    pytest.param("Bearer \xff", None, id="letters that no token has"),
    pytest.param("Basic cw==", None, id="no colon"),
    pytest.param(basic("", "s"), None, id="no username"),
    pytest.param(basic("alice", ""), None, id="no password"),
    pytest.param("Bearer s", "t", id="two that differ"),
    pytest.param("Bearer s", "S", id="two that differ by case"),
    pytest.param(basic("alice", "s"), "alice", id="a name is no secret"),
    pytest.param("Basic !", "s", id="one that cannot be read beside a good one"),
]


@pytest.mark.parametrize(("authorization", "private_token"), UNREADABLE)
def test_what_is_no_credential_is_not_taken_for_nothing(
    authorization: str | None, private_token: str | None
) -> None:
    assert isinstance(read(authorization, private_token), Unreadable)
