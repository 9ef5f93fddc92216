import json
from collections.abc import Callable
from pathlib import Path

import pytest

import fankui
from pipeline.feedback import Example


@pytest.fixture
def files(tmp_path: Path, examples: list[Example]) -> dict[str, str]:
    paths = {"train": tmp_path / "train.jsonl", "dev": tmp_path / "dev.jsonl"}
    for (_, path), part in zip(paths.items(), (examples[:16], examples[16:]), strict=True):
        lines = [json.dumps({"text": one.text, **one.labels}, ensure_ascii=False) for one in part]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {name: str(path) for name, path in paths.items()}


@pytest.fixture
def command(files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> int:
        given = ["--train", files["train"], "--dev", files["dev"], "--model", "linear", "--no-track"]
        return fankui.run(["train", *given, *words])

    return run


def test_json_is_one_document_and_all_else_goes_to_stderr(
    command: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert command("--output", "out", "--json", "--set", "strength=2") == 0
    out, err = capfd.readouterr()
    body = json.loads(out)
    assert set(body) == {"model_version", "bundle", "folder", "run_id", "registered", "metrics"}
    assert (body["bundle"], body["run_id"]) == ("out/bundle", None)
    assert "strength = 2.0" in err  # the resolved settings
    assert "never auto: sentiment, category, aspects, urgency; fewer than 50 labelled rows to calibrate on" in err


def test_people_get_a_table_and_the_next_command(
    command: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    assert command() == 0
    out, _ = capfd.readouterr()
    assert "urgency" in out
    assert "fankui score --model runs/fankui-" in out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--set", "depth=3"), 1, "fankui: unknown setting 'depth'; known: "),
        (("--profile", "slow"), 1, "fankui: profile is one of quick, full; found 'slow'"),
        (("--dev", "none.jsonl"), 1, "fankui: "),
        (("--output", "."), 2, "fankui: . holds an unfinished training (step 3); go on with --resume"),
        (("--resume", "--name", "x"), 1, "fankui: no unfinished training of 'x' under runs/; start one without"),
    ],
)
def test_mistakes_are_told_in_a_line(
    command: Callable[..., int],
    capfd: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    Path("checkpoints", "step-00000003").mkdir(parents=True)
    assert command(*words) == code
    _, err = capfd.readouterr()
    assert err.startswith(message)  # and not after forty lines of settings
    assert "Traceback" not in err


def test_help_shows_an_example(capfd: pytest.CaptureFixture[str]) -> None:
    assert fankui.run(["train", "--help"]) == 0
    words = " ".join(capfd.readouterr().out.split())
    assert "fankui train --train data/samples/train.jsonl --dev data/samples/dev.jsonl" in words
