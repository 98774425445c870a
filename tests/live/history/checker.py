"""Was an answer possible? A pure function over what was changed and what was answered.

It owns the meaning of the promise and knows no HTTP. A *power* is one thing that a yes depends
on, such as "token 7 is not revoked". Every call has a start and an end by one clock and takes
effect at some moment between the two. An answer is wrong when no such moments explain it:

- a yes, when a call that took one of its powers away had succeeded before the question was asked,
  and none that may have given it back had begun before the answer came;
- a no, when every power that it needs had for certain been given back, or was never taken away.

A call whose outcome nobody knows may take effect at any time after its start, or never. While a
revocation is not answered, one worker may say no and another still yes: the promise allows that,
so answers are held against changes and not against each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter


@dataclass(frozen=True, slots=True)
class Change:
    """A call that gave a power or took it away, in nanoseconds; ``end`` None: outcome unknown."""

    power: str
    is_held: bool
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node said when it was asked for something that needs all of these powers."""

    question: str
    node: int
    start: int
    end: int
    needs: tuple[str, ...]
    is_yes: bool


@dataclass(frozen=True, slots=True)
class Wrong:
    """An answer that nothing explains, with the changes of the powers that speak against it."""

    answer: Answer
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        """Return the shortest history that shows it, in milliseconds from its first call."""
        first = min([self.answer.start, *(change.start for change in self.changes)])

        def told(call: Answer | Change, what: str) -> str:
            end = "?" if call.end is None else f"{(call.end - first) / 1e6:.3f}"
            return f"{(call.start - first) / 1e6:10.3f} .. {end:>10}  {what}"

        lines = [told(one, f"{one.power}: {one.is_held}") for one in self.changes]
        answer = self.answer
        said = f"node {answer.node}: {answer.question}: {'yes' if answer.is_yes else 'no'}"
        return "\n".join([*lines, told(answer, said)])


# Whatever nobody has touched yet is held: it is asked for only after it was made.
_FROM_THE_BEGINNING = Change("", is_held=True, start=-1, end=-1)


def wrong(changes: Iterable[Change], answers: Iterable[Answer]) -> list[Wrong]:
    """Return the answers that no order of the calls explains."""
    by_power: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        by_power[change.power].append(change)
    found = []
    for answer in answers:
        against = [
            power
            for power in answer.needs
            if not _may_be(by_power.get(power, ()), answer, is_held=answer.is_yes)
        ]
        # One power that is gone forbids a yes; a no needs but one that may have been gone.
        if against and (answer.is_yes or len(against) == len(answer.needs)):
            found.append(Wrong(answer, _until(answer, against, by_power)))
    return found


def _until(
    answer: Answer, powers: Iterable[str], by_power: Mapping[str, Sequence[Change]]
) -> tuple[Change, ...]:
    """Return the changes of these powers that had begun before the answer came, in order."""
    touched = (one for power in powers for one in by_power.get(power, ()))
    return tuple(
        sorted((one for one in touched if one.start <= answer.end), key=attrgetter("start"))
    )


def _may_be(changes: Sequence[Change], answer: Answer, *, is_held: bool) -> bool:
    """Return whether the power may have been held, or not held, at some moment of the answer."""
    return any(
        one.is_held is is_held and one.start <= answer.end and not _is_over(one, changes, answer)
        for one in (_FROM_THE_BEGINNING, *changes)
    )


def _is_over(one: Change, changes: Sequence[Change], answer: Answer) -> bool:
    """Return whether the opposite for certain came after this change and before the question."""
    return one.end is not None and any(
        other.is_held is not one.is_held
        and other.end is not None
        and other.start > one.end
        and other.end < answer.start
        for other in changes
    )
