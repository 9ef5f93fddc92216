from pathlib import Path

import pytest

from pipeline.errors import ConfigError, UsageError
from training.config import TrainConfig
from training.run_folder import run_folder


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)


def test_a_new_training_gets_a_new_folder() -> None:
    first = run_folder(TrainConfig(name="shop"))
    first.mkdir(parents=True)
    second = run_folder(TrainConfig(name="shop"))
    assert first.parent == Path("runs")
    assert first.name.startswith("shop-")
    assert second != first
    assert not second.exists()


def test_a_finished_training_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "out" / "bundle").mkdir(parents=True)
    with pytest.raises(UsageError) as caught:
        run_folder(TrainConfig(output=Path("out")))
    assert caught.value.message == "out holds a finished training; name another --output"


def test_an_unfinished_training_is_not_written_over() -> None:
    (Path("out") / "checkpoints" / "step-00000200").mkdir(parents=True)
    with pytest.raises(UsageError) as caught:
        run_folder(TrainConfig(output=Path("out")))
    assert caught.value.code == "training_unfinished"
    assert caught.value.message == (
        "out holds an unfinished training (step 200); go on with --resume, or name another --output"
    )
    assert run_folder(TrainConfig(output=Path("out"), resume=True)) == Path("out")


def test_resume_finds_the_newest_unfinished_one() -> None:
    for name in ("shop-20260101-000000", "shop-20260102-000000", "shop-20260103-000000", "other-20260104-000000"):
        (Path("runs") / name / "checkpoints").mkdir(parents=True)
    (Path("runs") / "shop-20260103-000000" / "bundle").mkdir()
    assert run_folder(TrainConfig(name="shop", resume=True)) == Path("runs/shop-20260102-000000")


def test_resume_without_anything_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        run_folder(TrainConfig(name="shop", resume=True))
    assert caught.value.message == "no unfinished training of 'shop' under runs/; start one without --resume"


def test_several_processes_need_to_be_told_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match=r"^several processes need --output DIR, so that all know the same folder$"):
        run_folder(TrainConfig())
    assert run_folder(TrainConfig(output=Path("here"))) == Path("here")
