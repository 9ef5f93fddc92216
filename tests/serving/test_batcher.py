"""What is scored together, in which order, and what is dropped; with work that can be held up."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.feedback import Feedback
from serving.batcher import PATIENCE, Batcher, Outcome, Place, Request, cost


class Bench:
    """A batcher whose work notes its batches and waits for `go`."""

    def __init__(self, *, budget: int = 64) -> None:
        self.batches: list[list[str]] = []
        self.models: list[set[str]] = []
        self.freed = 0
        self.go = threading.Event()
        self.failure: Exception | None = None
        self._lock = threading.Lock()
        self.batcher = Batcher[str](self._work, freed=self._free, budget=budget)

    def _work(self, batch: Sequence[Place[str]]) -> list[Outcome]:
        with self._lock:
            self.batches.append([place.comment.text for place in batch])
            self.models.append({place.request.model for place in batch})
        self.go.wait(10)
        if self.failure is not None:
            raise self.failure
        return [Outcome({"text": place.comment.text}) for place in batch]

    def _free(self, count: int) -> None:
        with self._lock:
            self.freed += count

    def ask(self, *texts: str, model: str = "m", timeout: float = 10.0, background: bool = False) -> Request[str]:
        request = Request(
            comments=[Feedback(text=text) for text in texts],
            model=model,
            received=datetime.now(UTC),
            deadline=time.monotonic() + timeout,
            answer=asyncio.get_running_loop().create_future(),
            background=background,
        )
        self.batcher.put(request)
        return request

    async def begun(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.batches) < count:
                await asyncio.sleep(0.002)


@pytest.fixture
def make_bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**settings: Any) -> Bench:
        made.append(Bench(**settings))
        return made[-1]

    yield make
    for bench in made:
        bench.go.set()
        bench.batcher.close()


async def texts_of(request: Request[str]) -> list[str]:
    return [outcome.result["text"] for outcome in await asyncio.wait_for(request.answer, 5)]


def test_an_idle_model_takes_what_comes_at_once_and_then_all_that_waits(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()

    async def story() -> None:
        started = time.monotonic()
        first = bench.ask("一")
        await bench.begun(1)
        assert time.monotonic() - started < 0.2
        others = [bench.ask(text) for text in "二三四"]
        bench.go.set()
        assert [await texts_of(request) for request in (first, *others)] == [["一"], ["二"], ["三"], ["四"]]

    asyncio.run(story())
    assert bench.batches == [["一"], ["二", "三", "四"]]
    assert bench.freed == 4


def test_a_batch_ends_at_the_budget_of_tokens_and_order_is_kept(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(budget=30)

    async def story() -> None:
        first = bench.ask("一")
        await bench.begun(1)
        texts = ["甲" * 8, "乙" * 8, "丙" * 8, "丁" * 100, "戊"]
        others = [bench.ask(text) for text in texts]
        bench.go.set()
        assert [await texts_of(request) for request in others] == [[text] for text in texts]
        await first.answer

    asyncio.run(story())
    # 10 tokens each; the long one has a pass of its own, and the last one does not overtake it.
    assert [[text[0] for text in batch] for batch in bench.batches] == [["一"], ["甲", "乙", "丙"], ["丁"], ["戊"]]


def test_a_large_request_lets_those_by_that_come_after_it(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(budget=40)

    async def story() -> None:
        large = bench.ask(*(f"大{i:06}" for i in range(256)))  # four a batch
        await bench.begun(1)
        single = bench.ask("小")
        bench.go.set()
        assert await texts_of(single) == ["小"]
        assert await texts_of(large) == [f"大{i:06}" for i in range(256)]

    asyncio.run(story())
    # In the first batch that was cut after it came.
    assert "小" in bench.batches[1]


def test_many_small_ones_do_not_starve_a_large_one(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.batcher.PATIENCE", 0.05)
    bench = make_bench(budget=40)
    bench.go.set()

    async def story() -> None:
        large = bench.ask(*(f"大{i:06}" for i in range(16)))  # 4 batches, so 0.2 s of stepping back
        small: list[Request[str]] = []
        async with asyncio.timeout(5):
            while not large.answer.done():
                small.extend(bench.ask("小") for _ in range(20))  # always more than one batch of them waits
                await asyncio.sleep(0)
        await asyncio.gather(*(request.answer for request in small))

    asyncio.run(story())
    assert PATIENCE > 0.05


def test_what_nobody_waits_for_is_dropped_before_its_pass(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()

    async def story() -> None:
        first = bench.ask("一")
        await bench.begun(1)
        late = bench.ask("迟", timeout=0.01)
        left = bench.ask("走")
        left.answer.cancel()
        bench.batcher.leave(left)
        assert bench.freed == 1
        kept = bench.ask("留")
        await asyncio.sleep(0.02)
        bench.go.set()
        assert await texts_of(kept) == ["留"]
        bench.batcher.leave(late)
        await first.answer

    asyncio.run(story())
    assert bench.batches == [["一"], ["留"]]
    assert bench.freed == 4


def test_a_batch_is_of_one_model(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()

    async def story() -> None:
        first = bench.ask("一")
        await bench.begun(1)
        mixed = [bench.ask(f"{i}", model="旧" if i % 2 else "新") for i in range(6)]
        bench.go.set()
        assert [await texts_of(request) for request in mixed] == [[f"{i}"] for i in range(6)]
        await first.answer

    asyncio.run(story())
    assert bench.batches == [["一"], ["0", "2", "4"], ["1", "3", "5"]]
    assert bench.models == [{"m"}, {"新"}, {"旧"}]


def test_a_failure_of_the_work_reaches_all_of_its_batch_and_the_next_is_scored(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench()
    bench.go.set()

    async def story() -> None:
        bench.failure = ArithmeticError("no")
        broken = bench.ask("一", "二")
        with pytest.raises(ArithmeticError):
            await broken.answer
        bench.failure = None
        assert await texts_of(bench.ask("三")) == ["三"]

    asyncio.run(story())
    assert bench.freed == 3


def test_a_waiter_whose_loop_has_ended_harms_nobody(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()

    async def leave_behind() -> None:
        bench.ask("一")
        await bench.begun(1)

    async def story() -> None:
        bench.go.set()
        assert await texts_of(bench.ask("二")) == ["二"]

    asyncio.run(leave_behind())
    asyncio.run(story())
    assert bench.freed == 2


def test_a_closed_batcher_takes_nothing(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    bench.batcher.close()

    async def story() -> None:
        with pytest.raises(RuntimeError, match=r"^the batcher is closed$"):
            bench.ask("一")

    asyncio.run(story())


@pytest.mark.parametrize(("text", "tokens"), [("", 2), ("好评", 4), ("长" * 100_000, 2002)])
def test_cost(text: str, tokens: int) -> None:
    assert cost(text) == tokens


def test_what_is_in_the_background_comes_last_in_passes_of_its_own_and_frees_no_places(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench()

    async def story() -> None:
        first = bench.ask("一")
        await bench.begun(1)
        job, dropped = bench.ask("底", "下", background=True), bench.ask("弃", background=True)
        later = bench.ask("二", "三")
        bench.batcher.leave(dropped)
        bench.go.set()
        assert [await texts_of(request) for request in (first, later, job)] == [["一"], ["二", "三"], ["底", "下"]]

    asyncio.run(story())
    assert bench.batches == [["一"], ["二", "三"], ["底", "下"]]
    assert bench.freed == 3
