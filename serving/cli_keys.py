"""`fankui keys create|list|rotate|revoke`: who may use the server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from serving.api_keys import ApiKey, KeyShelf

keys_app = typer.Typer(help="API keys of the server.", no_args_is_help=True, rich_markup_mode="markdown")

_Store = Annotated[
    str | None, typer.Option(envvar="FANKUI_STORE", help="The server's store, where it has one: keys are kept there.")
]
_KeysFile = Annotated[
    Path | None,
    typer.Option(
        envvar="FANKUI_KEYS_FILE",
        help="File of digests, for a server without a store; it is given the same one. Goes before the store.",
    ),
]
_Which = Annotated[str, typer.Argument(help="Name or id of a key.", metavar="KEY")]


@keys_app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who uses it, such as shop-app; it stands in lists.")],
    *,
    scope: Annotated[
        list[str],
        typer.Option(
            help="score (classify), write (post, correct, move on), read (look at, export, /metrics), admin (erase, "
            "originals, and all the others). Repeatable."
        ),
    ],
    rate: Annotated[
        int | None, typer.Option(min=1, help="Requests a minute, of all workers together. Without it no limit.")
    ] = None,
    expires_days: Annotated[
        float | None, typer.Option(min=0.0, max=36_500.0, help="Days until it ends. Without it never.")
    ] = None,
    store: _Store = None,
    keys_file: _KeysFile = None,
) -> None:
    """Make a key and show it, once: only its digest is kept. Running servers know it within seconds.

    Example: `fankui keys create shop-app --scope score --scope write --rate 600 --store feedback.db`
    """
    from serving.api_keys import new_key

    now = datetime.now(UTC)
    expires_at = None if expires_days is None else now + timedelta(days=expires_days)
    key, shown = new_key(name, scope, now=now, rate=rate, expires_at=expires_at)
    with _shelf(store, keys_file, new=True) as shelf:
        if any(known.name == name and known.revoked_at is None for known in shelf.load()):
            raise UsageError("key_exists", f"there is a key named {name} already; rotate or revoke it, or use another")
        shelf.put(key)
    _show(key, shown)


@keys_app.command(name="list")
def list_(
    *,
    store: _Store = None,
    keys_file: _KeysFile = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show names, scopes, limits and times; the keys themselves are kept nowhere.

    Example: `fankui keys list --store feedback.db`
    """
    now = datetime.now(UTC)
    with _shelf(store, keys_file) as shelf:
        rows = [_row(key, now) for key in shelf.load()]
    if json_:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for name in ("id", "name", "scopes", "rate", "created", "last used", "expires", "state"):
        table.add_column(name)
    for row in rows:
        times = [(row[name] or "-")[:16] for name in ("created_at", "last_used_at", "expires_at")]
        table.add_row(row["id"], row["name"], " ".join(row["scopes"]), str(row["rate"] or "-"), *times, row["state"])
    Console().print(table)


@keys_app.command()
def rotate(
    key: _Which,
    *,
    overlap_hours: Annotated[
        float, typer.Option(min=0.0, max=8760.0, help="Hours in which the old and the new one both work.")
    ] = 24.0,
    store: _Store = None,
    keys_file: _KeysFile = None,
) -> None:
    """Give a key a new string and show it, once. Name, scopes, limits and what it owns stay.

    Example: `fankui keys rotate shop-app --overlap-hours 48 --store feedback.db`
    """
    from serving.api_keys import find_key, rotated

    with _shelf(store, keys_file) as shelf:
        found, shown = rotated(
            find_key(shelf.load(), key), now=datetime.now(UTC), overlap=timedelta(hours=overlap_hours)
        )
        shelf.put(found)
    _show(found, shown)


@keys_app.command()
def revoke(key: _Which, *, store: _Store = None, keys_file: _KeysFile = None) -> None:
    """End a key for good, all its strings with it. Running servers refuse it within seconds.

    Example: `fankui keys revoke shop-app --store feedback.db`
    """
    from serving.api_keys import find_key

    with _shelf(store, keys_file) as shelf:
        found = find_key(shelf.load(), key)
        if found.revoked_at is None:
            shelf.put(replace(found, revoked_at=datetime.now(UTC)))
    typer.echo(f"revoked {found.name} ({found.id})", err=True)


@contextmanager
def _shelf(store: str | None, keys_file: Path | None, *, new: bool = False) -> "Iterator[KeyShelf]":
    """Where the keys are. Raises UsageError where nobody said, ConfigError where it cannot be opened."""
    if keys_file is not None:
        from serving.key_file import KeyFile

        yield KeyFile(keys_file, must_exist=not new)
        return
    if not store:
        raise UsageError(
            "keys_nowhere", "say where the keys are: --store (or FANKUI_STORE), or --keys-file for a server without one"
        )
    from serving.store.database import open_database
    from serving.store.key_table import KeyTable
    from serving.store.migrating import upgrade

    database = open_database(store, timeout=10.0)
    try:
        upgrade(database)
        yield KeyTable(database)
    finally:
        database.close()


def _show(key: "ApiKey", shown: str) -> None:
    """The key alone on standard output, so that a script can take it from there."""
    typer.echo(shown)
    typer.echo(f"{key.name} ({key.id}): {' '.join(key.scopes)}. This is the only time that it is shown.", err=True)


def _row(key: "ApiKey", now: datetime) -> dict[str, Any]:
    from serving.api_keys import key_dict

    body = key_dict(key)
    body["strings"] = len(key.held(now))
    del body["secrets"]
    state = "revoked" if key.revoked_at is not None else "valid" if key.usable(now) else "expired"
    return {**body, "state": state}
