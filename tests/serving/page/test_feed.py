"""What has just happened reaches everybody who watches, whoever wrote it; in a store that others share."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.schema import LabelSchema
from serving.page.feed import Changes, Feed
from serving.store import records
from serving.store.database import Database, open_database
from serving.store.migrating import upgrade
from serving.store.records import NewFeedback
from serving.store.threads import StoreThreads
from tests.stored_comments import scored_comment


@pytest.fixture
def threads(store_url: str) -> Iterator[StoreThreads]:
    database = open_database(store_url, timeout=2.0)
    upgrade(database)
    found = StoreThreads(database)
    yield found
    found.close()


@pytest.fixture
def elsewhere(threads: StoreThreads, store_url: str) -> Iterator[Database]:
    """The same store, as another process has it open."""
    database = open_database(store_url, timeout=2.0)
    yield database
    database.close()


@pytest.fixture
def write(elsewhere: Database, schema: LabelSchema) -> Callable[[str], None]:
    make: Callable[..., NewFeedback] = partial(scored_comment, schema=schema)

    def one(identity: str) -> None:
        elsewhere.write(lambda connection: records.store(connection, make(identity, received_at=datetime.now(UTC))))

    return one


async def next_change(feed: AsyncIterator[Changes | None]) -> Changes:
    async with asyncio.timeout(5):
        async for changes in feed:
            if changes is not None:
                return changes
    raise AssertionError("the feed ended")


def test_all_who_watch_hear_of_what_another_process_wrote(threads: StoreThreads, write: Any) -> None:
    async def watch() -> None:
        write("before")
        feed = Feed(threads, seconds=0.02)
        async with aclosing(feed.listen(beat=0.2)) as one, aclosing(feed.listen(beat=0.2)) as two:
            assert await anext(one) is None  # and nothing of what was there before
            assert await anext(two) is None
            await asyncio.to_thread(write, "a1")
            heard = [await next_change(one), await next_change(two)]
            for changes in heard:
                assert changes.to_dict() == {
                    "mark": changes.mark, "types": {"feedback.routed": 1}, "ids": ["a1"], "store": True
                }  # fmt: skip
            assert heard[0].mark == heard[1].mark != ""
            await asyncio.to_thread(lambda: [write(f"b{i}") for i in range(60)])
            seen: list[str] = []
            total = 0
            while total < 60:
                changes = await next_change(one)
                total += changes.types["feedback.routed"]
                seen = changes.ids
                assert len(changes.ids) <= 50
            assert total == 60
            assert seen[-1] == "b59"
        assert feed.listeners == 0

    asyncio.run(watch())


def test_a_store_that_is_away_is_told_and_found_again(
    threads: StoreThreads, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def watch() -> None:
        feed = Feed(threads, seconds=0.02)
        async with aclosing(feed.listen(beat=0.2)) as one:
            assert await anext(one) is None
            with monkeypatch.context() as patch:
                patch.setattr("serving.store.figures.happened", partial(_fail, threads))
                assert (await next_change(one)).store is False
            assert (await next_change(one)).store is True
            await asyncio.to_thread(write, "a1")
            assert (await next_change(one)).ids == ["a1"]

    asyncio.run(watch())


def _fail(_threads: StoreThreads, connection: Any, **_: Any) -> Any:
    connection.exec_driver_sql("SELECT * FROM nowhere")


def test_it_ends_with_the_server(threads: StoreThreads) -> None:
    async def watch() -> None:
        feed = Feed(threads, seconds=0.02)

        async def all_of_it() -> int:
            return len([changes async for changes in feed.listen(beat=60.0)])

        task = asyncio.create_task(all_of_it())
        await asyncio.sleep(0.1)
        assert feed.listeners == 1
        feed.close()
        assert await asyncio.wait_for(task, 2) == 0

    asyncio.run(watch())


def test_nobody_asks_the_store_where_nobody_watches(threads: StoreThreads, tmp_path: Path) -> None:
    async def watch() -> None:
        feed = Feed(threads, seconds=0.02)
        async with aclosing(feed.listen(beat=0.05)) as one:
            await anext(one)
        await asyncio.sleep(0.1)
        assert feed._task is not None
        assert feed._task.done()

    asyncio.run(watch())
