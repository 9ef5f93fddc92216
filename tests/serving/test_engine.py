"""Admission, deadlines, and whether the model works."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from models.bundle import open_bundle
from models.predictor import Columns
from pipeline.errors import BundleError
from pipeline.feedback import Feedback
from pipeline.prepare import Prepared
from serving.engine import ActiveModel, Engine, start_engine
from serving.problems import RequestProblem
from serving.settings import ServeSettings

ITEM = Feedback(text="快递太慢了")


@pytest.fixture
def make_engine(linear_bundle: Path) -> Any:
    made: list[Engine] = []

    def make(**settings: Any) -> Engine:
        made.append(start_engine(ServeSettings(model=str(linear_bundle), **settings)))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def spy(active: ActiveModel, monkeypatch: pytest.MonkeyPatch, before: Callable[[], None]) -> list[int]:
    """Numbers of texts of every forward pass from now on; `before` runs first in each."""
    passes: list[int] = []
    original = active.predictor.columns

    def columns(prepared: Sequence[Prepared]) -> Columns:
        passes.append(len(prepared))
        before()
        return original(prepared)

    monkeypatch.setattr(active.predictor, "columns", columns)
    return passes


def test_a_model_that_cannot_score_is_not_started(linear_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise ArithmeticError

    monkeypatch.setattr("models.linear.LinearModel.logits", broken)
    expected = f"^the model at {linear_bundle} cannot score a plain comment; choose another$"
    with pytest.raises(BundleError, match=expected) as caught:
        start_engine(ServeSettings(model=str(linear_bundle)))
    assert caught.value.code == "model_failed"


def test_what_is_loaded_is_what_the_manifest_says(make_engine: Any, linear_bundle: Path) -> None:
    bundle = open_bundle(linear_bundle)
    active = make_engine().active
    assert (active.version, active.name, active.kind, active.digest) == (
        bundle.version,
        "small",
        "linear",
        bundle.digest,
    )
    assert active.resolved.origin == "option"


def test_a_batch_larger_than_what_is_free_is_refused_whole(make_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(max_items=32, max_in_flight=32)
    go = threading.Event()
    passes = spy(engine.active, monkeypatch, lambda: go.wait(10) and None)

    async def story() -> None:
        first = asyncio.create_task(engine.classify([ITEM], engine.active))
        await asyncio.sleep(0.05)
        started = time.perf_counter()
        with pytest.raises(RequestProblem) as caught:
            await engine.classify([ITEM] * 32, engine.active)
        assert time.perf_counter() - started < 0.02
        assert caught.value.code == "overloaded"
        go.set()
        await first
        assert len((await engine.classify([ITEM] * 32, engine.active)).results) == 32

    asyncio.run(story())
    assert passes == [1, 32]
    assert engine.places.taken == 0


def test_the_event_loop_stays_free_while_the_model_computes(make_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine()
    spy(engine.active, monkeypatch, lambda: time.sleep(0.3))

    async def story() -> int:
        task = asyncio.create_task(engine.classify([ITEM], engine.active))
        turns = 0
        while not task.done():
            await asyncio.sleep(0.01)
            turns += 1
        return turns

    assert asyncio.run(story()) > 10


def test_who_waits_too_long_is_told_and_the_place_comes_back_with_the_work(
    make_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(request_timeout=0.1)
    go = threading.Event()
    spy(engine.active, monkeypatch, lambda: go.wait(10) and None)

    async def story() -> None:
        # The second waits behind the first and is dropped before it is computed.
        found = await asyncio.gather(
            *(engine.classify([ITEM], engine.active) for _ in range(2)), return_exceptions=True
        )
        assert [getattr(error, "code", None) for error in found] == ["answer_timeout", "answer_timeout"]
        assert engine.places.taken == 1
        go.set()
        while engine.places.taken:
            await asyncio.sleep(0.01)

    asyncio.run(story())


def test_ready_makes_a_pass_only_where_none_was_lately(make_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(probe_seconds=0.2)
    passes = spy(engine.active, monkeypatch, lambda: None)

    async def story() -> None:
        assert await engine.ready()
        assert passes == []
        await asyncio.sleep(0.25)
        assert all(await asyncio.gather(engine.ready(), engine.ready()))
        assert passes == [1]
        await asyncio.sleep(0.25)
        await engine.classify([ITEM, ITEM], engine.active)
        assert await engine.ready()

    asyncio.run(story())
    assert passes == [1, 2]


def test_a_failing_model_is_not_ready_until_it_works_again(make_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine()
    healthy = threading.Event()

    def fail() -> None:
        if not healthy.is_set():
            raise ArithmeticError

    spy(engine.active, monkeypatch, fail)

    async def story() -> None:
        scored = await engine.classify([ITEM], engine.active)
        assert scored.model_failed
        assert not await engine.ready()
        healthy.set()
        assert await engine.ready()

    asyncio.run(story())


def test_a_hanging_model_is_not_ready(make_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.engine._PROBE_TIMEOUT", 0.1)
    engine = make_engine(probe_seconds=0.0)
    go = threading.Event()
    spy(engine.active, monkeypatch, lambda: go.wait(10) and None)

    async def story() -> None:
        assert not await engine.ready()
        go.set()
        assert await engine.ready()

    asyncio.run(story())
