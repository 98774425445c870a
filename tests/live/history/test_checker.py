"""The checker itself: what it must call wrong, and what it must let pass."""

from __future__ import annotations

import pytest

from tests.live.history.checker import Answer, Change, wrong

# It is pure, so that once is enough.
pytestmark = pytest.mark.sqlite

TOKEN, OWNER = "the token is not revoked", "the owner is active"


def take(start: int, end: int | None, power: str = TOKEN) -> Change:
    return Change(power, is_held=False, start=start, end=end)


def give(start: int, end: int | None, power: str = TOKEN) -> Change:
    return Change(power, is_held=True, start=start, end=end)


def yes(start: int, end: int) -> Answer:
    return Answer("introspect", 0, start, end, (TOKEN, OWNER), is_yes=True)


def no(start: int, end: int) -> Answer:
    return Answer("introspect", 0, start, end, (TOKEN, OWNER), is_yes=False)


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        pytest.param([take(10, 20)], yes(21, 22), id="asked after the success"),
        pytest.param([take(10, 20)], yes(500, 501), id="asked long after the success"),
        pytest.param([take(10, 20, OWNER)], yes(21, 22), id="one power of two is gone"),
        pytest.param([take(10, 20), give(30, 40)], yes(21, 29), id="answered before it is back"),
        pytest.param([give(1, 5), take(10, 20)], yes(21, 22), id="given before it was taken"),
        pytest.param(
            [take(10, 20), give(30, 40), take(50, 60)], yes(61, 62), id="taken a second time"
        ),
        pytest.param([take(10, 20), take(15, 40)], yes(21, 22), id="the slower of two is awaited"),
        pytest.param([take(10, None), take(15, 20)], yes(21, 22), id="the second try succeeded"),
        pytest.param([], no(1, 2), id="no, though nothing was ever taken"),
        pytest.param([take(30, 40)], no(1, 29), id="no before anything was taken"),
        pytest.param([take(10, 20), give(30, 40)], no(41, 42), id="no after it was given back"),
        pytest.param(
            [take(10, 20), give(30, 40), take(10, 20, OWNER), give(30, 40, OWNER)],
            no(41, 42),
            id="no after all was given back",
        ),
    ],
)
def test_an_answer_that_nothing_explains_is_wrong(changes: list[Change], answer: Answer) -> None:
    (found,) = wrong(changes, [answer])
    assert found.answer is answer
    assert set(found.changes) <= set(changes)


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        pytest.param([], yes(1, 2), id="nothing was taken"),
        pytest.param([take(10, 20)], yes(1, 9), id="answered before"),
        pytest.param([take(10, 20)], yes(19, 30), id="asked while it was being taken"),
        pytest.param([take(10, 20)], yes(20, 30), id="asked at the very moment of the success"),
        pytest.param([take(10, None)], yes(500, 501), id="nobody knows whether it was taken"),
        pytest.param([take(10, 20), give(30, 40)], yes(41, 42), id="given back"),
        pytest.param([take(10, 20), give(30, 40)], yes(21, 35), id="being given back meanwhile"),
        pytest.param([take(10, 20), give(30, None)], yes(500, 501), id="perhaps given back"),
        pytest.param([take(10, 20), give(15, 17)], yes(21, 22), id="given and taken at once"),
        pytest.param([give(5, 12), take(10, 20)], yes(21, 22), id="perhaps given after it"),
        pytest.param([take(10, 20)], no(21, 22), id="no after it was taken"),
        pytest.param([take(10, 20)], no(5, 10), id="no, the very moment that it is taken"),
        pytest.param([take(10, None)], no(500, 501), id="no, perhaps taken by now"),
        pytest.param([take(10, 20), give(30, 40)], no(35, 50), id="no while it comes back"),
        pytest.param([take(10, 20), give(15, 40)], no(41, 42), id="no, perhaps taken after it"),
        pytest.param([take(10, 20, OWNER)], no(21, 22), id="no for one power of two"),
    ],
)
def test_an_answer_that_an_order_explains_is_right(changes: list[Change], answer: Answer) -> None:
    assert wrong(changes, [answer]) == []


def test_every_wrong_answer_is_found_among_right_ones() -> None:
    answers = [yes(1, 2), no(3, 4), yes(30, 31), no(32, 33), yes(40, 41)]
    found = wrong([take(10, 20)], answers)
    assert [one.answer for one in found] == [answers[1], answers[2], answers[4]]


def test_a_wrong_answer_tells_its_history() -> None:
    (found,) = wrong(
        [take(1_000_000, 3_000_000), take(2_000_000, None)], [yes(4_000_000, 5_000_000)]
    )
    assert str(found).splitlines() == [
        "     0.000 ..      2.000  the token is not revoked: False",
        "     1.000 ..          ?  the token is not revoked: False",
        "     3.000 ..      4.000  node 0: introspect: yes",
    ]
