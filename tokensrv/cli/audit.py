"""``tokensrv audit``: reads the event log. Nothing here changes it."""

from __future__ import annotations

import click

from tokensrv.cli.objects import moment
from tokensrv.cli.output import Item, json_option, show_list, text
from tokensrv.cli.storage import current_store
from tokensrv.services.records import EventRecord
from tokensrv.services.reports.event_exports import as_object
from tokensrv.services.reports.event_lists import EventFilter, list_events

_COLUMNS = ("seq", "at", "action", "who", "what")
_MAX_SEQ = 2**63 - 1


@click.group("audit")
def command() -> None:
    """Read the event log."""


@command.command("list")
@click.option("--limit", type=click.IntRange(1, _MAX_SEQ), default=100, show_default=True)
@click.option(
    "--since",
    type=click.IntRange(0, _MAX_SEQ),
    metavar="SEQ",
    help="The first events after this one instead of the last ones.",
)
@click.option("--actor", metavar="USER", help="Who really acted.")
@click.option("--subject", metavar="USER", help="As whom.")
@click.option("--action", help="What happened, such as token.created.")
@json_option
def list_(
    *,
    limit: int,
    since: int | None,
    actor: str | None,
    subject: str | None,
    action: str | None,
    as_json: bool,
) -> None:
    """List events, the oldest first."""
    wanted = EventFilter(limit=limit, since=since, actor=actor, subject=subject, action=action)
    with current_store() as store:
        events = list_events(store, wanted)
    if as_json:
        show_list(map(as_object, events), _COLUMNS, as_json=True)
    else:
        show_list(map(_row, events), _COLUMNS, as_json=False)


def _row(event: EventRecord) -> Item:
    return {
        "seq": event.seq,
        "at": moment(event.at),
        "action": event.action,
        "who": _who(event),
        "what": _what(event),
    }


def _who(event: EventRecord) -> str:
    if event.actor is None:
        return text(event.data.get("via"))
    return (
        event.actor if event.actor_id == event.subject_id else f"{event.actor} as {event.subject}"
    )


def _what(event: EventRecord) -> str:
    data = {name: value for name, value in event.data.items() if name != "via"}
    told = {"token": event.token_id, "client": event.client_id, "ip": event.ip}
    told |= data | {"reason": event.reason}
    return " ".join(f"{name}={shown}" for name, value in told.items() if (shown := text(value)))
