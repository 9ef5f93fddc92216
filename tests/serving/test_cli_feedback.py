"""`fankui feedback show|erase` over both databases."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import fankui
from pipeline.schema import LabelSchema
from serving.store import corrections, records, redaction, statuses
from serving.store.corrections import Correction
from serving.store.database import Database, open_database
from serving.store.migrating import upgrade
from serving.store.tables import events
from tests.stored_comments import NOON, scored_comment

PHONE = "13900139000"
WORDS = "独一无二的抱怨"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def database(store_url: str, schema: LabelSchema) -> Iterator[Database]:
    """a0 to a2 are one customer's, whose reference is a phone number; b is another's."""
    found = open_database(store_url, timeout=5.0)
    upgrade(found)
    name = redaction.pseudonym(PHONE, found.secret(redaction.SECRET))

    def fill(connection: Any) -> None:
        for i in range(3):
            records.store(connection, scored_comment(f"a{i}", schema=schema, customer_ref=name, text=WORDS))
        records.store(connection, scored_comment("b", schema=schema, customer_ref="c2", text=WORDS))
        row = records.find(connection, "b", lock=True)
        assert row is not None
        correction = Correction(task="urgency", label="high", by="li", why="客户很急")
        corrections.correct(connection, row, correction, schema=schema, now=NOON + timedelta(hours=1))
        change = statuses.Change(status="assigned", by="li", assignee="wang", note="请今天回")
        statuses.change(connection, row, change, now=NOON + timedelta(hours=2))

    found.write(fill)
    yield found
    found.close()


@pytest.fixture
def run(database: Database, store_url: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("show", "b")`: exit code, standard output and error of `fankui feedback show b`."""

    def command(*words: str) -> tuple[int, str, str]:
        status = fankui.run(["feedback", *words, "--store", store_url])
        return status, *capsys.readouterr()

    return command


def left(database: Database) -> list[str]:
    """Ids of comments whose text is there."""
    return sorted(row.id for row in database.read(lambda c: records.page(c, records.Filters(), limit=9)))


def erased(database: Database) -> list[str]:
    """Ids that events tell of."""
    kinds = select(events.c.subject).where(events.c.type == "feedback.erased").order_by(events.c.subject)
    return database.read(lambda connection: list(connection.scalars(kinds)))


def test_a_comment_is_shown(run: Run) -> None:
    status, out, _ = run("show", "b", "--json")
    body = json.loads(out)
    assert (status, body["id"], body["text"], body["urgency"]) == (0, "b", WORDS, "high")
    assert (body["corrections"][0]["why"], body["history"][1]["note"]) == ("客户很急", "请今天回")
    status, out, _ = run("show", "b")
    assert status == 0
    for told in (WORDS, "logistics", "low (90%)", "urgency: high", "客户很急", "assigned wang", "请今天回"):
        assert told in out


def test_ids_are_erased_once_they_are_confirmed(run: Run, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = iter([False, True])
    asked: list[str] = []

    def confirm(question: str, **_: object) -> None:
        asked.append(question)
        if not next(answer):
            raise SystemExit(1)

    assert run("erase", "a0", "a1", "--dry-run") == (0, "", "2 comments to erase; nothing was erased\n")
    monkeypatch.setattr("typer.confirm", confirm)
    assert run("erase", "a0", "a1")[0] == 1
    assert left(database) == ["a0", "a1", "a2", "b"]
    assert run("erase", "a0", "a1", "a0") == (0, "", "erased 2 comments\n")
    assert asked == ["Erase 2 comments for good?"] * 2
    assert left(database) == ["a2", "b"]
    assert erased(database) == ["a0", "a1"]
    assert run("erase", "a1", "a2", "--yes") == (0, "", "erased 1 comment\n")
    assert run("erase", "a1", "--yes") == (0, "", "0 comments to erase; nothing was erased\n")
    status, _, told = run("show", "a1")
    assert (status, told.partition(" on ")[0]) == (1, "fankui: the comment 'a1' was erased")


def test_without_an_answer_nothing_is_erased(run: Run, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert run("erase", "b")[0] == 1
    assert left(database) == ["a0", "a1", "a2", "b"]


def test_one_unknown_id_keeps_all(run: Run, database: Database) -> None:
    status, _, told = run("erase", "b", "none", "--yes")
    assert (status, told) == (
        1, "fankui: expected the id of a comment in the store; found 'none'; GET /v1/feedback lists them\n"
    )  # fmt: skip
    assert run("show", "none")[0] == 1
    assert left(database) == ["a0", "a1", "a2", "b"]


def test_a_customer_is_erased_by_the_reference_that_was_posted(run: Run, database: Database) -> None:
    assert run("erase", "--customer", PHONE, "--dry-run")[2] == "3 comments to erase; nothing was erased\n"
    assert run("erase", "--customer", PHONE, "-y") == (0, "", "erased 3 comments\n")
    assert left(database) == ["b"]
    assert run("erase", "--customer", "nobody", "-y") == (0, "", "0 comments to erase; nothing was erased\n")


@pytest.mark.parametrize("words", [("erase",), ("erase", "b", "--customer", "c2"), ("erase", "--customer", "")])
def test_somebody_has_to_say_what(run: Run, database: Database, words: tuple[str, ...]) -> None:
    told = "fankui: say what to erase: ids of comments, or --customer; not both\n"
    assert run(*words, "--yes") == (2, "", told)
    assert left(database) == ["a0", "a1", "a2", "b"]


def test_a_store_that_is_not_there_is_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FANKUI_STORE", raising=False)
    path = tmp_path / "mistyped.db"
    assert fankui.run(["feedback", "erase", "--customer", "c", "--store", str(path)]) == 2
    assert capsys.readouterr().err == f"fankui: --store: expected the server's store; found no file {path}\n"
    assert list(tmp_path.iterdir()) == []
    assert fankui.run(["feedback", "show", "b"]) == 2
    assert "say where comments are kept" in capsys.readouterr().err


def test_no_file_of_the_database_holds_it_any_more(
    tmp_path: Path, schema: LabelSchema, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "store.db"
    found = open_database(str(path), timeout=5.0)
    upgrade(found)
    found.write(lambda connection: records.store(connection, scored_comment("a", schema=schema, text=WORDS * 200)))

    def bytes_of_all() -> bytes:
        return b"".join(file.read_bytes() for file in tmp_path.glob("store.db*"))

    assert WORDS.encode() in bytes_of_all()
    assert fankui.run(["feedback", "erase", "a", "--yes", "--store", str(path)]) == 0
    assert WORDS.encode() not in bytes_of_all()
    assert capsys.readouterr().err == "erased 1 comment\n"
    found.close()
