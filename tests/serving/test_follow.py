"""A running server answers with the champion, and with the next one after it was promoted."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI

from models.bundle import ModelBundle, open_bundle, write_bundle
from models.champion import Champion, keep_copy, write_champion
from models.loading import ResolvedModel
from models.resolving import resolve_model
from serving.active_model import ActiveModel, load_active
from serving.app import create_app
from serving.follow import follow_champion
from serving.settings import ServeSettings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FANKUI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FANKUI_MODEL", raising=False)
    return tmp_path / "home"


@pytest.fixture
def promote(home: Path, linear_bundle: Path, tmp_path: Path) -> Callable[[str], Champion]:
    """`promote("2")`: write the small model under another name and make it the champion."""

    def go(version: str) -> Champion:
        small = open_bundle(linear_bundle)
        bundle: ModelBundle = write_bundle(
            tmp_path / version,
            kind="linear",
            name=f"small{version}",
            schema=small.schema,
            calibration=small.calibration,
            files={name: small.read(name) for name in ("config.json", "vocabulary.json", "weights.safetensors")},
            metrics={},
            card="x",
        )
        champion = keep_copy(home, bundle, name="feedback", version=version)
        write_champion(home, champion)
        return champion

    return go


async def wait_for(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def app_of(home: Path) -> FastAPI:
    return create_app(ServeSettings(follow_seconds=0.02))


def test_promoting_changes_the_model_of_a_running_server(home: Path, promote: Callable[[str], Champion]) -> None:
    first = promote("1")
    engine = app_of(home).state.engine
    assert engine.active.version == f"feedback/1@{first.digest[:12]}"

    async def story() -> None:
        following = asyncio.create_task(follow_champion(engine))
        before = engine.active
        await asyncio.sleep(0.1)
        assert engine.active is before
        second = promote("2")
        await wait_for(lambda: engine.active is not before)
        assert engine.active.version == f"feedback/2@{second.digest[:12]}"
        following.cancel()

    asyncio.run(story())
    assert f'fankui_model{{model_version="{engine.active.version}"}} 1.0'.encode() in engine.metrics.page()
    assert engine.metrics.page().count(b"\nfankui_model{") == 1
    engine.close()


def test_a_broken_champion_leaves_the_old_one_and_is_told_once(
    home: Path, promote: Callable[[str], Champion], caplog: pytest.LogCaptureFixture
) -> None:
    promote("1")
    engine = app_of(home).state.engine
    before = engine.active

    async def story() -> None:
        following = asyncio.create_task(follow_champion(engine))
        # No await between the two: the follower cannot look in between.
        broken = promote("2").folder(home)
        (broken / "weights.safetensors").write_bytes(b"x")
        await wait_for(lambda: bool(caplog.records) or engine.active is not before)
        await asyncio.sleep(0.15)
        following.cancel()

    asyncio.run(story())
    assert engine.active is before
    told = [record for record in caplog.records if record.getMessage() == "model_not_replaced"]
    assert len(told) == 1
    assert told[0].fields["why"].startswith("bundle_altered: ")  # type: ignore[attr-defined]
    engine.close()


def test_a_pointer_that_cannot_be_read_is_told_once_and_followed_when_it_can(
    home: Path, promote: Callable[[str], Champion], caplog: pytest.LogCaptureFixture
) -> None:
    promote("1")
    engine = app_of(home).state.engine
    pointer = home / "champion.json"
    good = pointer.read_bytes()

    async def story() -> None:
        following = asyncio.create_task(follow_champion(engine))
        pointer.write_bytes(b"{")
        await wait_for(lambda: bool(caplog.records))
        await asyncio.sleep(0.1)
        pointer.write_bytes(good)
        promote("2")
        await wait_for(lambda: engine.active.version.startswith("feedback/2@"))
        following.cancel()

    asyncio.run(story())
    whys = [record.fields["why"] for record in caplog.records if record.getMessage() == "model_not_replaced"]  # type: ignore[attr-defined]
    assert len(whys) == 1
    assert whys[0].startswith("champion_unreadable: ")
    engine.close()


@pytest.mark.parametrize(
    ("error", "why"), [(OSError(5, "disk away"), "[Errno 5] disk away"), (RuntimeError("13800138000"), "RuntimeError")]
)
def test_a_failure_that_passes_is_told_once_and_the_model_tried_again_ever_more_rarely(
    promote: Callable[[str], Champion],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    why: str,
) -> None:
    promote("1")
    engine = create_app(ServeSettings(follow_seconds=0.02)).state.engine
    tries: list[float] = []

    def load(resolved: ResolvedModel, **options: Any) -> ActiveModel:
        tries.append(time.monotonic())
        if len(tries) < 4:
            raise error
        return load_active(resolved, **options)

    monkeypatch.setattr("serving.follow.load_active", load)

    async def story() -> None:
        following = asyncio.create_task(follow_champion(engine))
        promote("2")
        await wait_for(lambda: engine.active.version.startswith("feedback/2@"))
        following.cancel()

    asyncio.run(story())
    told = [record for record in caplog.records if record.getMessage() == "model_not_replaced"]
    assert [record.fields["why"] for record in told] == [why]  # type: ignore[attr-defined]
    assert all(gap >= least for gap, least in zip(np.diff(tries), (0.02, 0.04, 0.08), strict=True))
    engine.close()


def test_a_pointer_that_cannot_be_looked_up_does_not_end_the_following(
    home: Path, promote: Callable[[str], Champion], monkeypatch: pytest.MonkeyPatch
) -> None:
    promote("1")
    engine = app_of(home).state.engine
    looks: list[int] = []

    def resolve() -> ResolvedModel:
        looks.append(1)
        if len(looks) < 3:
            raise ValueError
        return resolve_model()

    monkeypatch.setattr("serving.follow.resolve_model", resolve)

    async def story() -> None:
        following = asyncio.create_task(follow_champion(engine))
        promote("2")
        await wait_for(lambda: engine.active.version.startswith("feedback/2@"))
        following.cancel()

    asyncio.run(story())
    assert len(looks) >= 3
    engine.close()


def test_only_a_server_that_was_not_told_a_model_follows(
    make_app: Callable[..., FastAPI], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving.app import follows_champion

    assert follows_champion(ServeSettings())
    assert not follows_champion(ServeSettings(model="default"))
    monkeypatch.setenv("FANKUI_MODEL", "default")
    assert not follows_champion(ServeSettings())
