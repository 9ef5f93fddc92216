"""`fankui feedback show|erase`: one kept comment, and an end to what is kept of it, where the store is at hand."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import FeedbackError, UsageError

if TYPE_CHECKING:
    from serving.store.database import Database

feedback_app = typer.Typer(help="Comments that the server keeps.", no_args_is_help=True, rich_markup_mode="markdown")

_Store = Annotated[str | None, typer.Option(envvar="FANKUI_STORE", help="The server's store, where comments are kept.")]

_SHOWN = (
    *("id", "status", "received_at", "due_at", "overdue_at", "escalation", "resolved_at", "callback_due_at"),
    *("called_back_at", "call_outcome", "priority"),
    *("channel", "customer_ref", "tier", "text", "metadata", "model_version"),
)


@feedback_app.command()
def show(
    id_: Annotated[str, typer.Argument(help="Id of a comment.", metavar="ID")],
    *,
    store: _Store = None,
    json_: Annotated[bool, typer.Option("--json", help="Print all of it, as GET /v1/feedback/{id} has it.")] = False,
) -> None:
    """Show a comment, masked as it is kept: labels, decision, corrections and statuses. Originals are not shown.

    Example: `fankui feedback show A-1 --store feedback.db`
    """
    from serving.feedback_answers import dumps, whole

    with _opened(store) as database:
        body = database.read(lambda connection: whole(connection, _found(connection, id_)))
    if json_:
        typer.echo(json.dumps(json.loads(dumps(body)), ensure_ascii=False, indent=2))
    else:
        _print(body)


@feedback_app.command()
def erase(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of comments.", metavar="ID…")] = None,
    *,
    customer: Annotated[
        str | None, typer.Option(help="All comments of this customer_ref instead, given as it was posted.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many there are; erase nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    store: _Store = None,
) -> None:
    """Erase what comments say and whose they are, for good: text, original, metadata, customer and remarks.

    Labels, decisions and times stay as figures, as with DELETE /v1/feedback/{id}. Of several ids either all are erased
    or, where one is unknown, none. Those that are erased already are passed over.

    Example: `fankui feedback erase --customer c77 --dry-run --store feedback.db`
    """
    if bool(ids) == (customer is not None) or customer == "":
        raise UsageError("feedback_erase_invalid", "say what to erase: ids of comments, or --customer; not both")
    with _opened(store) as database:
        count = _count(database, ids or (), customer)
        if dry_run or not count:
            typer.echo(f"{_comments(count)} to erase; nothing was erased", err=True)
            return
        if not yes:
            typer.confirm(f"Erase {_comments(count)} for good?", abort=True, err=True)
        erased = _erase_ids(database, ids) if ids else _erase_customer(database, str(customer))
        if erased:
            database.overwrite_log()
    typer.echo(f"erased {_comments(erased)}", err=True)


def _count(database: "Database", ids: Sequence[str], customer: str | None) -> int:
    """How many are to be erased. Raises FeedbackError `feedback_unknown`."""
    from serving.store import erasing

    if customer is not None:
        name = _pseudonym(database, customer)
        return database.read(lambda connection: erasing.count_customer(connection, name))
    return len(database.read(lambda connection: _left(connection, ids)))


def _erase_ids(database: "Database", ids: Sequence[str]) -> int:
    from serving.store import erasing

    def work(connection: Any) -> int:
        rows = _left(connection, ids, lock=True)
        for row in rows:
            erasing.erase(connection, row, now=datetime.now(UTC))
        return len(rows)

    return database.write(work)


def _erase_customer(database: "Database", customer: str) -> int:
    """In batches, between which the server writes too. Cut off in the middle it can be called again."""
    from serving.store import erasing

    name = _pseudonym(database, customer)
    total = 0
    while count := database.write(lambda connection: erasing.erase_customer(connection, name, now=datetime.now(UTC))):
        total += count
    return total


def _left(connection: Any, ids: Sequence[str], *, lock: bool = False) -> list[Any]:
    """Rows that are not erased yet, in one order, so that two who erase at once do not wait for each other for ever."""
    from serving.store import records

    rows = [(id_, records.find(connection, id_, lock=lock)) for id_ in sorted(set(ids))]
    unknown = [id_ for id_, row in rows if row is None]
    if unknown:
        raise _unknown(unknown[0])
    return [row for _, row in rows if row is not None and row.erased_at is None]


def _found(connection: Any, id: str) -> Any:  # noqa: A002
    """The row of a comment that is there. Raises FeedbackError `feedback_unknown`, `feedback_erased`."""
    from serving.store import records

    row = records.find(connection, id)
    if row is None:
        raise _unknown(id)
    if row.erased_at is not None:
        raise FeedbackError("feedback_erased", f"the comment {id!r} was erased on {row.erased_at:%Y-%m-%d}")
    return row


def _unknown(id: str) -> FeedbackError:  # noqa: A002
    message = f"expected the id of a comment in the store; found {id!r}; GET /v1/feedback lists them"
    return FeedbackError("feedback_unknown", message)


def _pseudonym(database: "Database", customer: str) -> str:
    """The reference as it is kept."""
    from serving.store import redaction

    return str(redaction.pseudonym(customer, database.secret(redaction.SECRET)))


@contextmanager
def _opened(store: str | None) -> "Iterator[Database]":
    """The store, which is there: a mistyped path shall not become an empty one in which nobody is found."""
    if not store:
        raise UsageError("store_missing", "say where comments are kept: --store, or FANKUI_STORE")
    if "://" not in store and not Path(store).expanduser().is_file():
        raise UsageError("store_missing", f"--store: expected the server's store; found no file {store}")
    from serving.store.database import open_database
    from serving.store.migrating import upgrade

    database = open_database(store, timeout=10.0)
    try:
        upgrade(database)
        yield database
    finally:
        database.close()


def _comments(count: int) -> str:
    return f"{count} comment{'' if count == 1 else 's'}"


def _print(body: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    result, decision = body["result"], body["result"]["decision"]
    aspects = [f"{found['category']} {found['polarity']}" for found in result["aspects"]]
    rows = [(name, body[name]) for name in _SHOWN]
    rows += [(name, f"{found['label']} ({found['probability']:.0%})") for name, found in result["labels"].items()]
    rows += [("aspects", ", ".join(aspects)), ("flags", ", ".join(result["flags"]))]
    rows += [(name, decision[name]) for name in ("queue", "zone")] + [("reasons", ", ".join(decision["reasons"]))]
    corrected = [(entry["created_at"], f"{entry['task']}: {entry['label']}", entry) for entry in body["corrections"]]
    moved = [(entry["at"], f"{entry['status']} {entry['assignee'] or ''}", entry) for entry in body["history"]]
    called = [(entry["at"], entry["outcome"], entry) for entry in body["calls"]]
    for name, entries, remark in (("corrected", corrected, "why"), ("was", moved, "note"), ("called", called, "note")):
        rows += [(name, f"{at[:16]} {what} (by {entry['by']}) {entry[remark] or ''}") for at, what, entry in entries]
    table = Table(box=None, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name.replace("_", " "), "-" if value in (None, "", {}) else str(value))
    Console(markup=False, highlight=False).print(table)
