"""Admission, deadlines, and whether the model works."""

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from models.bundle import ModelBundle, open_bundle
from models.loading import ResolvedModel, read_predictor
from models.predictor import BundlePredictor, Columns
from pipeline.errors import BundleError, ConfigError
from pipeline.feedback import Feedback
from pipeline.prepare import Prepared
from serving.active_model import ActiveModel, load_active
from serving.engine import Engine, start_engine
from serving.intake import Refused
from serving.problems import RequestProblem
from serving.settings import ServeSettings

ITEM = Feedback(text="快递太慢了")


@pytest.fixture
def make_engine(linear_bundle: Path) -> Any:
    made: list[Engine] = []

    def make(**settings: Any) -> Engine:
        # Passes are counted here, so nothing is kept from the one before.
        made.append(start_engine(ServeSettings(**{"model": str(linear_bundle), "cache": 0, **settings})))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def spy(active: ActiveModel, monkeypatch: pytest.MonkeyPatch, before: Callable[[], object]) -> list[int]:
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


def test_a_policy_that_does_not_fit_the_model_is_refused(linear_bundle: Path, tmp_path: Path) -> None:
    policy = tmp_path / "routing.toml"
    policy.write_text('[queue.labels]\nlogistic = "x"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"did you mean 'logistics'\?$"):
        start_engine(ServeSettings(model=str(linear_bundle), routing=policy))


def test_the_manifest_is_read_once(linear_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copy = tmp_path / "small"
    shutil.copytree(linear_bundle, copy)

    def read(bundle: ModelBundle, **options: Any) -> BundlePredictor:
        predictor = read_predictor(bundle, **options)
        (copy / "manifest.json").write_bytes(b"{}")
        return predictor

    monkeypatch.setattr("serving.active_model.read_predictor", read)
    active = load_active(ResolvedModel(copy, None, "option"), threads=None)
    assert (active.name, active.digest) == ("small", open_bundle(linear_bundle).digest)


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
    engine = make_engine(request_timeout=0.2)
    go = threading.Event()
    passes = spy(engine.active, monkeypatch, lambda: go.wait(10) and None)

    async def story() -> None:
        first = asyncio.create_task(engine.classify([ITEM], engine.active))
        while not passes:
            await asyncio.sleep(0.01)
        # The second waits behind the first and is dropped before it is computed.
        second = engine.classify([ITEM], engine.active)
        found = await asyncio.gather(first, second, return_exceptions=True)
        assert [getattr(error, "code", None) for error in found] == ["answer_timeout", "answer_timeout"]
        assert engine.places.taken == 1
        go.set()
        while engine.places.taken:
            await asyncio.sleep(0.01)
        await engine.classify([ITEM], engine.active)

    asyncio.run(story())
    assert passes == [1, 1]


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
        assert scored.errors[0].code == "model_failed"
        assert not await engine.ready()
        healthy.set()
        assert await engine.ready()

    asyncio.run(story())


def test_a_long_pass_is_ready_until_the_requests_own_deadline(
    make_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.engine._PROBE_TIMEOUT", 0.05)
    engine = make_engine(probe_seconds=0.0, request_timeout=0.6)
    go = threading.Event()
    passes = spy(engine.active, monkeypatch, lambda: go.wait(10) and None)

    async def story() -> None:
        long = asyncio.create_task(engine.classify([ITEM] * 3, engine.active))
        while not passes:
            await asyncio.sleep(0.01)
        assert await engine.ready()
        with pytest.raises(RequestProblem):
            await long
        await asyncio.sleep(0.05)  # the pass began a little later than the request
        assert not await engine.ready()
        go.set()
        while engine.places.taken:
            await asyncio.sleep(0.01)
        assert await engine.ready()

    asyncio.run(story())


def test_a_hanging_long_pass_shows_though_short_ones_are_answered(
    make_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(request_timeout=0.3)
    go = threading.Event()
    columns = engine.active.predictor.columns

    def hang(prepared: Sequence[Prepared]) -> Columns:
        if len(prepared[0].text) > 100:
            go.wait(10)
        return columns(prepared)

    monkeypatch.setattr(engine.active.predictor, "columns", hang)

    async def story() -> None:
        long = asyncio.create_task(engine.classify([Feedback("快递三天没到，" * 100)], engine.active))
        await asyncio.sleep(0.1)
        assert await engine.ready()
        assert not (await engine.classify([Feedback("客服也不回")], engine.active)).errors
        await asyncio.sleep(0.3)
        assert not (await engine.classify([Feedback("客服也不回")], engine.active)).errors
        assert not await engine.ready()
        go.set()
        with pytest.raises(RequestProblem):
            await long
        await asyncio.sleep(0.1)
        assert await engine.ready()

    asyncio.run(story())


def test_a_probe_that_waits_behind_a_long_pass_does_not_fail(make_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.engine._PROBE_TIMEOUT", 0.1)
    engine = make_engine(probe_seconds=0.0)
    go = threading.Event()
    passes = spy(engine.active, monkeypatch, lambda: go.wait(10) and None)
    alive, looks = engine._alive, list[int]()
    # At the first look the long pass has not begun yet.
    monkeypatch.setattr(engine, "_alive", lambda: looks.append(1) or (len(looks) > 1 and alive()))

    async def story() -> None:
        long = asyncio.create_task(engine.classify([ITEM], engine.active))
        while not passes:
            await asyncio.sleep(0.01)
        assert await engine.ready()
        go.set()
        await long

    asyncio.run(story())


def test_a_pass_whose_client_gave_up_proves_as_much(make_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(request_timeout=0.05)
    passes = spy(engine.active, monkeypatch, lambda: time.sleep(0.15))
    engine._worked_at = time.monotonic() - 60

    async def story() -> None:
        with pytest.raises(RequestProblem):
            await engine.classify([ITEM], engine.active)
        while engine.places.taken:
            await asyncio.sleep(0.01)
        assert await engine.ready()

    asyncio.run(story())
    assert passes == [1]


def test_answers_that_were_kept_prove_nothing(make_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(cache=10)
    passes = spy(engine.active, monkeypatch, lambda: None)

    async def story() -> None:
        await engine.classify([ITEM], engine.active)
        engine._worked_at = time.monotonic() - 60
        await engine.classify([ITEM, ITEM], engine.active)
        assert passes == [1]
        assert await engine.ready()
        engine._worked_at = time.monotonic() - 60
        assert await engine.ready()  # nor is the probe's answer kept

    asyncio.run(story())
    assert passes == [1, 1, 1]
    version = engine.active.version
    assert f'fankui_comments_repeated_total{{model_version="{version}"}} 2.0'.encode() in engine.metrics.page()


def test_comments_that_were_refused_prove_nothing(make_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine()
    engine._worked_at = time.monotonic() - 60
    passes = spy(engine.active, monkeypatch, lambda: None)

    async def story() -> None:
        await engine.classify([Feedback(text=""), Refused(RequestProblem("invalid_item", "no"))], engine.active)
        assert passes == []
        assert await engine.ready()

    asyncio.run(story())
    assert passes == [1]


def test_one_comment_that_fails_among_others_leaves_the_model_ready(
    make_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine()
    original: Callable[[Sequence[Prepared]], Columns] = engine.active.predictor.columns
    passes: list[int] = []

    def columns(prepared: Sequence[Prepared]) -> Columns:
        passes.append(len(prepared))
        if any("毒" in entry.text for entry in prepared):
            raise ArithmeticError
        return original(prepared)

    monkeypatch.setattr(engine.active.predictor, "columns", columns)

    async def story() -> None:
        scored = await engine.classify([ITEM, Feedback(text="毒")], engine.active)
        assert list(scored.errors) == [1]
        assert await engine.ready()

    asyncio.run(story())
    assert passes == [2, 1, 1]


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
