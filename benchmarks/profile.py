"""The profile of a hot introspection on SQLite: what each of its steps costs, in one process.

No server and no socket: a request as Granian hands it over, the real fast path, and beside it each
step of which it is made (``benchmarks.steps``). What an entry of PostgreSQL's cache takes of the
memory is found in the same process (``benchmarks.footprint``).

    python -m benchmarks.profile [--publish]
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks import footprint, machine, publish
from benchmarks.instances import Instance, forget_settings, prepare
from benchmarks.steps import ANEW, ASKED, FINDING, FOUND_BY, WHOLE, Step, steps
from tokensrv.app import create_app
from tokensrv.clock import SystemClock, today

LATEST = Path(__file__).parent / "results" / "profile.json"
# As many as hold enough active ones for the cache.
_TOKENS = 150_000
_TURNS, _ROUNDS = 5, 200


@dataclass(frozen=True, slots=True)
class Profile:
    """What was measured: CPU µs of each step by its name, and bytes of an entry of the cache."""

    day: str
    machine: dict[str, str | int]
    steps_us: dict[str, float]
    entry_bytes: int

    def text(self) -> str:
        """Return the profile as the text of a JSON file."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    def lines(self) -> Iterator[str]:
        """Yield the table, line by line, as the documentation has it."""
        shown = dict(self.steps_us)
        whole, anew, finding = shown.pop(WHOLE), shown.pop(ANEW), shown.pop(FINDING)
        shown[f"{FINDING}, the rest"] = finding - sum(shown[part] for part in FOUND_BY)
        yield "| an introspection on SQLite, in one process | CPU µs |"
        yield "| --- | --: |"
        for name, us in shown.items():
            yield f"| {name} | {us:.1f} |"
        yield f"| what is between these | {whole - sum(shown.values()):.1f} |"
        yield f"| **{WHOLE}** | **{whole:.1f}** |"
        yield f"| {ANEW}, once a second for each token | {anew:.1f} |"
        yield ""
        yield (
            f"An entry of PostgreSQL's cache takes {self.entry_bytes:,} bytes of a worker:"
            f" {footprint.ENTRIES:,} of them {self.entry_bytes * footprint.ENTRIES / 2**20:,.0f}"
            " MiB. It is what the process grew by when they were stored, 20 tokens of each owner."
        )
        yield ""
        versions = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        yield (
            f"{self.day}: {versions}. `python -m benchmarks.profile`: {ASKED} tokens asked about"
            f" in turns, each step called alone, of {_ROUNDS} rounds the fastest."
        )


def latest() -> Profile:
    """Return the profile that the documentation shows."""
    return Profile(**json.loads(LATEST.read_text(encoding="utf-8")))


def with_profile(page: str, profile: Profile) -> str:
    """Return the page with the profile where it belongs."""
    return publish.with_lines(page, "profile", profile.lines())


def measured(instance: Instance) -> Profile:
    """Return the profile of this instance, which must have tokens for the cache as well."""
    app = create_app(instance.settings)
    entry_bytes = footprint.entry_bytes(app.extensions["tokensrv_lookup"], instance)
    with closing(app.extensions["tokensrv"]), closing(app.extensions["tokensrv_usage"]):
        steps_us = _timed(list(steps(app, instance)))
    day = today(SystemClock()).isoformat()
    return Profile(day, machine.of_process(), steps_us, entry_bytes)


def _timed(all_steps: Sequence[Step]) -> dict[str, float]:
    """Return the CPU time of each step in µs; in turns, so that a slow moment is everybody's."""
    least = {step.name: float("inf") for step in all_steps}
    for _ in range(_ROUNDS):
        for name, do, asked in all_steps:
            began = time.thread_time_ns()
            for _ in range(_TURNS):
                for arguments in asked:
                    do(*arguments)
            us = (time.thread_time_ns() - began) / 1000 / _TURNS / len(asked)
            least[name] = min(least[name], us)
    return {name: round(us, 3) for name, us in least.items()}


@click.command()
@click.option("--publish", "is_published", is_flag=True, help="Show it in the documentation.")
def command(*, is_published: bool) -> None:
    """Measure the steps of a hot introspection on SQLite."""
    forget_settings()
    with TemporaryDirectory(prefix="tokensrv-profile-") as folder:
        profile = measured(prepare(Path(folder), "", _TOKENS))
    click.echo("\n".join(profile.lines()))
    if is_published:
        LATEST.write_text(profile.text(), encoding="utf-8")
        page = publish.PAGE.read_text(encoding="utf-8")
        publish.PAGE.write_text(with_profile(page, latest()), encoding="utf-8")


if __name__ == "__main__":
    command()
