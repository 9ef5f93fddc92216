"""`fankui webhooks add|list|rotate|disable|enable|remove|test|replay|dead`: who is told of what happens."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import FeedbackError, UsageError

if TYPE_CHECKING:
    from serving.sealing import Seal
    from serving.store.database import Database
    from serving.webhooks.endpoints import Endpoint

webhooks_app = typer.Typer(
    help="URLs that are told of what happens.", no_args_is_help=True, rich_markup_mode="markdown"
)

_Store = Annotated[str | None, typer.Option(envvar="FANKUI_STORE", help="The server's store, where webhooks are kept.")]
_Which = Annotated[str, typer.Argument(help="Name or id of a webhook.", metavar="WEBHOOK")]
_Http = Annotated[
    bool,
    typer.Option(
        "--allow-http",
        envvar="FANKUI_WEBHOOK_HTTP",
        help="Accept http://, which others can read on the way. The server needs --webhook-http too.",
    ),
]
_Network = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-network",
        envvar="FANKUI_WEBHOOK_NETWORKS",
        help="Network that may be reached though it is not public, as for `fankui serve --webhook-network`.",
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

_HINTS = {"address_refused": ": it is not public; --allow-network with the network that it is in allows it"}


@webhooks_app.command()
def add(
    name: Annotated[str, typer.Argument(help="Who is told, such as crm; it stands in lists.")],
    url: Annotated[str, typer.Argument(help="Where to, https://…. It is kept and listed as it is.")],
    *,
    event: Annotated[
        list[str] | None,
        typer.Option(help="Type of event, such as feedback.routed. Repeatable; without it all of them."),
    ] = None,
    allow_http: _Http = False,
    store: _Store = None,
) -> None:
    """Subscribe a URL and show its secret, once. It is told of what happens from now on, within seconds.

    Messages are signed as Standard Webhooks says; its libraries verify them with the secret. It is kept sealed where
    FANKUI_RAW_KEYS holds a key, as for `fankui serve --keep-raw`; otherwise readable, for messages are signed with it.

    Example: `fankui webhooks add crm https://crm.example.com/fankui --event feedback.routed --store feedback.db`
    """
    from serving.store import endpoint_table
    from serving.webhooks.addresses import Guard
    from serving.webhooks.endpoints import new_endpoint

    Guard(http=allow_http).target(url)
    endpoint, shown = new_endpoint(name, url, event or (), now=datetime.now(UTC), seal=_seal())
    with _opened(store) as database:
        database.write(lambda connection: endpoint_table.add(connection, endpoint))
    _show(endpoint, shown)


@webhooks_app.command(name="list")
def list_(*, store: _Store = None, json_: _Json = False) -> None:
    """Show names, URLs, types and how many messages wait, were delivered in the last 30 days, or are dead letters.

    Example: `fankui webhooks list --store feedback.db`
    """
    from serving.store import endpoint_table, replaying
    from serving.webhooks.views import endpoint_dict

    now = datetime.now(UTC)
    with _opened(store) as database:
        counts = database.read(replaying.counts)
        rows = [endpoint_dict(endpoint, counts, now=now) for endpoint in database.read(endpoint_table.load)]
    columns = ("id", "name", "url", "state", "pending", "delivered", "dead", "failures", "secrets")
    _print(rows, (*columns, "types"), as_json=json_)


@webhooks_app.command()
def rotate(
    webhook: _Which,
    *,
    overlap_hours: Annotated[
        float, typer.Option(min=0.0, max=8760.0, help="Hours in which messages are signed with the old secret too.")
    ] = 24.0,
    store: _Store = None,
) -> None:
    """Give a webhook a new secret and show it, once. Until the overlap ends, either verifies every message.

    Example: `fankui webhooks rotate crm --overlap-hours 48 --store feedback.db`
    """
    from serving.store import endpoint_table
    from serving.webhooks.endpoints import find_endpoint, rotated

    seal, now = _seal(), datetime.now(UTC)

    def write(connection: Any) -> "tuple[Endpoint, str]":
        found = find_endpoint(endpoint_table.load(connection), webhook)
        changed, shown = rotated(found, now=now, overlap=timedelta(hours=overlap_hours), seal=seal)
        endpoint_table.put_secrets(connection, changed)
        return changed, shown

    with _opened(store) as database:
        _show(*database.write(write))


@webhooks_app.command()
def disable(webhook: _Which, *, store: _Store = None) -> None:
    """Send nothing to a webhook until it is enabled again. What happens meanwhile is not kept for it; see replay.

    Example: `fankui webhooks disable crm --store feedback.db`
    """
    from serving.store import endpoint_table
    from serving.webhooks.endpoints import OPERATOR

    now = datetime.now(UTC)
    found = _change(store, webhook, lambda c, found: endpoint_table.disable(c, found.id, why=OPERATOR, now=now))
    typer.echo(f"disabled {found.name} ({found.id})", err=True)


@webhooks_app.command()
def enable(webhook: _Which, *, store: _Store = None) -> None:
    """Go on with a webhook that was disabled, or that answered 410 Gone. What waited is sent at once.

    Example: `fankui webhooks enable crm --store feedback.db`
    """
    from serving.store import endpoint_table

    found = _change(store, webhook, lambda connection, found: endpoint_table.enable(connection, found.id))
    typer.echo(f"enabled {found.name} ({found.id})", err=True)


@webhooks_app.command()
def remove(webhook: _Which, *, store: _Store = None) -> None:
    """Forget a webhook, all that waits for it and its dead letters.

    Example: `fankui webhooks remove crm --store feedback.db`
    """
    from serving.store import endpoint_table

    found = _change(store, webhook, lambda connection, found: endpoint_table.remove(connection, found.id))
    typer.echo(f"removed {found.name} ({found.id})", err=True)


@webhooks_app.command(name="test")
def try_(webhook: _Which, *, allow_http: _Http = False, allow_network: _Network = None, store: _Store = None) -> None:
    """Send a message of type webhook.test from here, once, and say what came back. Exit code 1 where it was not 2xx.

    Example: `fankui webhooks test crm --store feedback.db`
    """
    from serving.store import endpoint_table
    from serving.webhooks.addresses import Guard, read_networks
    from serving.webhooks.endpoints import find_endpoint
    from serving.webhooks.trying import try_endpoint

    guard = Guard(read_networks(tuple(allow_network or ())), http=allow_http)
    seal = _seal()
    with _opened(store) as database:
        found = find_endpoint(database.read(endpoint_table.load), webhook)
    guard.target(found.url)  # says what is not allowed, and how it would be
    outcome, seconds = asyncio.run(try_endpoint(found, guard=guard, seal=seal))
    status = "no answer" if outcome.status is None else f"HTTP {outcome.status}"
    if outcome.error is not None:
        hint = _HINTS.get(outcome.error, "")
        told = f"{found.name}: {status} ({outcome.error}{hint}) after {seconds:.2f} s"
        raise FeedbackError("webhook_test_failed", told)
    typer.echo(f"{found.name}: {status} after {seconds:.2f} s")


@webhooks_app.command()
def replay(
    *,
    event: Annotated[list[str] | None, typer.Option(help="Id of an event, evt_…. Repeatable.")] = None,
    since: Annotated[
        str | None, typer.Option(help="All events from this time on: ISO 8601 with a zone, 2026-03-02T08:00:00+08:00.")
    ] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All dead letters.")] = False,
    webhook: Annotated[str | None, typer.Option(help="Only to this webhook; without it to all that want them.")] = None,
    store: _Store = None,
) -> None:
    """Send again: dead letters, chosen events, or all since a time. Messages keep their ids.

    Example: `fankui webhooks replay --since 2026-03-02T08:00:00+08:00 --webhook crm --store feedback.db`
    """
    from serving.webhooks.views import Wanted, read_since, replay_all

    if sum((bool(event), since is not None, dead)) != 1:
        raise UsageError("webhook_replay_invalid", "say what to send again: one of --event, --since and --dead")
    if wrong := [id_ for id_ in event or () if not id_.startswith("evt_")]:
        message = f"--event is the id of an event, evt_…, as messages have it; found {wrong[0]!r}; --since takes all"
        raise UsageError("webhook_replay_invalid", message)
    wanted = Wanted(tuple(event or ()), None if since is None else read_since(since), dead, webhook)
    with _opened(store) as database:
        count = replay_all(database.write, wanted, now=datetime.now(UTC))
    typer.echo(f"{count} message{'' if count == 1 else 's'} to be sent again", err=True)


@webhooks_app.command()
def dead(
    *,
    webhook: Annotated[str | None, typer.Option(help="Only of this webhook.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The latest so many.")] = 100,
    store: _Store = None,
    json_: _Json = False,
) -> None:
    """Show dead letters: messages that were given up after the last attempt, 75 hours later, or answered with 410.

    Example: `fankui webhooks dead --webhook crm --store feedback.db`
    """
    from serving.store import endpoint_table, replaying
    from serving.webhooks.endpoints import find_endpoint
    from serving.webhooks.views import letter_dict

    def read(connection: Any) -> list[Any]:
        known = endpoint_table.load(connection)
        chosen = None if webhook is None else find_endpoint(known, webhook).id
        return replaying.dead_letters(connection, limit=limit, endpoint_id=chosen)

    with _opened(store) as database:
        rows = [letter_dict(row) for row in database.read(read)]
    columns = ("event_id", "type", "subject", "webhook", "attempts", "last_status", "last_error", "given_up_at")
    _print(rows, columns, as_json=json_)


@contextmanager
def _opened(store: str | None) -> "Iterator[Database]":
    if not store:
        raise UsageError("store_missing", "say where webhooks are kept: --store, or FANKUI_STORE")
    from serving.store.database import open_database
    from serving.store.migrating import upgrade

    database = open_database(store, timeout=10.0)
    try:
        upgrade(database)
        yield database
    finally:
        database.close()


def _change(store: str | None, webhook: str, change: "Callable[[Any, Endpoint], object]") -> "Endpoint":
    from serving.store import endpoint_table
    from serving.webhooks.endpoints import find_endpoint

    def write(connection: Any) -> "Endpoint":
        found = find_endpoint(endpoint_table.load(connection), webhook)
        change(connection, found)
        return found

    with _opened(store) as database:
        return database.write(write)


def _seal() -> "Seal | None":
    from serving import sealing

    given = os.environ.get(sealing.VARIABLE)
    return sealing.read_keys(given) if given else None


def _show(endpoint: "Endpoint", shown: str) -> None:
    """The secret alone on standard output, so that a script can take it from there."""
    typer.echo(shown)
    kept = "sealed" if endpoint.secrets[-1].sealed else "as it is, in the store"
    typer.echo(
        f"{endpoint.name} ({endpoint.id}): {' '.join(endpoint.types) or 'all events'}. This is the only time that the "
        f"secret is shown; it is kept {kept}.",
        err=True,
    )


def _print(rows: list[dict[str, Any]], columns: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for name in columns:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        cells = (" ".join(value) if isinstance(value := row[name], list) else value for name in columns)
        table.add_row(*("-" if cell in (None, "") else str(cell) for cell in cells))
    Console().print(table)
