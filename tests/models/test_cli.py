"""`fankui score` as it is typed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import openpyxl
import pytest

from fankui import run
from models.bundle import ModelBundle
from models.linear import LinearModel
from models.predictor import Outputs
from pipeline import csv_rows, xlsx_rows
from pipeline.readers import read_batches
from pipeline.writers import Column, open_writer

ROOT = Path(__file__).parents[2]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def fankui(tiny_bundle: ModelBundle, tmp_path: Path) -> Run:
    """Run `fankui …` in the test's folder with the tiny model."""
    environment = {**os.environ, "FANKUI_MODEL": str(tiny_bundle.path), "OMP_NUM_THREADS": "1", "COLUMNS": "120"}

    def run(args: Sequence[str], *, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(ROOT / "fankui.py"), "score", *args]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment, input=stdin
        )

    return run


def test_a_comment_is_answered_in_a_panel(fankui: Run) -> None:
    done = fankui(["快递很慢"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "差 bad" in done.stdout


def test_json_is_one_document_in_the_servers_shape(fankui: Run, tiny_bundle: ModelBundle) -> None:
    done = fankui(["快递很慢", "", "服务很好", "--json", "--explain"])
    document = json.loads(done.stdout)
    first, second, third = document.pop("results")
    assert document == {"model_version": tiny_bundle.version, "schema_version": "7"}
    assert (first["labels"]["mood"]["label"], third["labels"]["mood"]["label"]) == ("bad", "fine")
    assert second == {"id": "2", "error": second["error"]}
    assert second["error"]["code"] == "empty_text"
    assert {"task", "label", "start", "end", "weight", "text"} == set(first["evidence"][0])


def test_one_bad_comment_alone_is_an_error(fankui: Run) -> None:
    done = fankui([""])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("fankui: expected ")


def test_a_comment_at_which_the_model_fails_has_its_error(
    tiny_bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = LinearModel.logits

    def logits(self: LinearModel, texts: Sequence[str]) -> Outputs:
        if any("毒" in text for text in texts):
            raise RuntimeError(texts[0])
        return original(self, texts)

    monkeypatch.setattr(LinearModel, "logits", logits)
    monkeypatch.setenv("FANKUI_MODEL", str(tiny_bundle.path))
    assert run(["score", "--json", "很慢", "毒"]) == 0
    first, second = json.loads(capsys.readouterr().out)["results"]
    assert first["labels"]["mood"]["label"] == "bad"
    assert second["error"]["code"] == "model_failed"
    assert run(["score", "毒"]) == 1
    assert capsys.readouterr().err == (
        "fankui: the model failed at this comment; try again, and report it if it stays so\n"
    )


def test_a_policy_that_does_not_fit_the_model_is_refused(fankui: Run, tmp_path: Path) -> None:
    (tmp_path / "routing.toml").write_text("[zones.moods]\nauto = 0.9\nsuggest = 0.5\n", encoding="utf-8")
    done = fankui(["--routing", "routing.toml", "很慢"])
    assert done.returncode == 1
    assert done.stderr == "fankui: routing: [zones.moods]: the model has no such task; did you mean 'mood'?\n"


def test_lines_of_standard_input(fankui: Run) -> None:
    done = fankui(["-", "--json"], stdin="很慢\n\n很好\n")
    assert [result["labels"]["mood"]["label"] for result in json.loads(done.stdout)["results"]] == ["bad", "fine"]


def test_a_dash_is_a_comment_with_text(fankui: Run) -> None:
    done = fankui(["--text", "-", "--json"], stdin="很慢\n")
    assert [result["id"] for result in json.loads(done.stdout)["results"]] == ["1"]
    assert "empty" not in done.stdout


def test_all_probabilities_of_a_comment(fankui: Run) -> None:
    done = fankui(["快递很慢", "--all-probabilities", "--json"])
    (result,) = json.loads(done.stdout)["results"]
    assert {name: list(found) for name, found in result["probabilities"].items()} == {
        "mood": ["bad", "ok", "fine"],
        "level": ["low", "mid", "top"],
        "tags": ["parcel", "money"],
        "parts": ["parcel", "staff"],
    }
    assert sum(result["probabilities"]["mood"].values()) == pytest.approx(1, abs=1e-5)


def test_the_columns_of_a_file_are_named(fankui: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("编号,内容,渠道\n7,很慢,热线\n", encoding="utf-8")
    named = ["--text-column", "内容", "--id-column", "编号", "--channel-column", "渠道"]
    assert fankui(["in.csv", "-o", "out.csv", *named]).returncode == 0
    done = fankui(["in.csv", "-o", "out.csv", *named[:-1], "来源"])
    assert (done.returncode, done.stderr) == (
        1, "fankui: in.csv has no column '来源' for channel; its columns are: 编号, 内容, 渠道\n",
    )  # fmt: skip


def test_the_sheet_of_a_workbook(fankui: Run, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for name in ("一月", "二月"):
        sheet = book.create_sheet(name)
        sheet.append(["text"])
        sheet.append(["很慢" if name == "一月" else "很好"])
    book.save(tmp_path / "in.xlsx")
    done = fankui(["in.xlsx", "-o", "out.csv"])
    assert done.returncode == 1
    assert "in '一月', '二月'; name the sheet to read with --sheet" in done.stderr
    assert fankui(["in.xlsx", "-o", "out.csv", "--sheet", "二月"]).returncode == 0
    assert [row["mood"] for batch in read_batches(tmp_path / "out.csv") for row in batch.rows] == ["fine"]


def test_a_file_is_looked_at_once(
    tiny_bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks: list[Path] = []

    def watch(module: ModuleType, name: str) -> None:
        look = getattr(module, name)
        monkeypatch.setattr(module, name, lambda path, *rest, **more: looks.append(path) or look(path, *rest, **more))

    watch(csv_rows, "inspect_encoding")
    watch(xlsx_rows, "_inspect")
    monkeypatch.setenv("FANKUI_MODEL", str(tiny_bundle.path))
    with open_writer(tmp_path / "in.xlsx", columns=[Column("text", "text")]) as writer:
        writer.write([{"text": "很慢"}])
    (tmp_path / "in.csv").write_text("text\n很慢\n", encoding="utf-8")
    for name in ("in.csv", "in.xlsx"):
        assert run(["score", str(tmp_path / name), "-o", str(tmp_path / f"out-{name}")]) == 0
    assert looks == [tmp_path / "in.csv", tmp_path / "in.xlsx"]


def test_a_file(fankui: Run, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,comment\n7,很慢\n8,\n", encoding="utf-8")
    done = fankui(["in.csv", "-o", "out.csv", "--text-column", "comment"])
    assert (done.returncode, done.stdout) == (0, "")
    assert "in.csv -> out.csv: 2 rows, 1 with an error (see its column); " in done.stderr
    assert [row["id"] for batch in read_batches(tmp_path / "out.csv") for row in batch.rows] == ["7", "8"]


def test_several_files_into_a_folder(fankui: Run, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("text\n很慢\n", encoding="utf-8")
    done = fankui(["*.csv", "-o", "scored", "--json"])
    told = json.loads(done.stdout)["files"]
    assert [(one["source"], one["target"], one["rows"]) for one in told] == [
        ("a.csv", "scored/a.csv", 1), ("b.csv", "scored/b.csv", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["none.csv"], "there is no file none.csv; to score it as a comment give --text"),
        (["很好", "-o", "out.csv"], "-o is for files; a comment's answer is printed (--json for programs)"),
        (
            ["很好", "--embeddings", "--prefix", "p_"],
            "--prefix, --embeddings: only for files; leave it out for comments",
        ),
        (
            ["很好", "--id-column", "n", "--created-at-column", "t", "--sheet", "1"],
            "--id-column, --created-at-column, --sheet: only for files; leave it out for comments",
        ),
        (["很好", "--all-probabilities"], "--all-probabilities of comments needs --json"),
        (["a.csv", "-o", "out.csv", "--sheet", "1"], "--sheet is for xlsx files; a.csv has no sheets"),
        (["a.csv"], "say where to write: -o FILE.csv, or -o FOLDER for several files"),
        (["a.csv", "b.csv", "-o", "c.csv"], "2 files go into a folder; c.csv looks like a file"),
        (["a.csv", "sub/a.csv", "-o", "out"], "several files are named a.csv; score them one at a time"),
        (
            ["a.csv", "-o", "out.csv"],
            "a.csv has columns that scoring writes: mood; give --prefix pred_ to keep both, or --overwrite to "
            "replace them",
        ),
    ],
)
def test_mistakes_of_usage_exit_with_2(fankui: Run, tmp_path: Path, args: list[str], message: str) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.csv", "b.csv", "sub/a.csv"):
        (tmp_path / name).write_text("text,mood\n很慢,bad\n", encoding="utf-8")
    done = fankui(args)
    assert (done.returncode, done.stderr) == (2, f"fankui: {message}\n")


def test_a_spoilt_model_exits_with_1_and_no_traceback(fankui: Run, tiny_bundle: ModelBundle) -> None:
    (tiny_bundle.path / "card.md").write_text("# tinx\n", encoding="utf-8")
    done = fankui(["很好"])
    assert done.returncode == 1
    assert done.stderr == (
        f"fankui: {tiny_bundle.path / 'card.md'} is not the file that manifest.json names; restore the bundle\n"
    )


def test_nothing_heavy_is_imported(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    heavy = ("torch", "transformers", "mlflow", "sklearn", "fastapi", "pandas", "onnxruntime", "matplotlib")
    program = (
        "import sys, fankui; "
        f"fankui.run(['score', '快递很慢', '--json', '--explain', '--model', {str(tiny_bundle.path)!r}]); "
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr.strip() == "[]"
