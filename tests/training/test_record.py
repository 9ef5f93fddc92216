"""The facts of a card: every row that was read is told, and the parts add up."""

import re
from collections.abc import Callable
from pathlib import Path

from pipeline.feedback import Example
from tests.training.labeled_rows import write_rows
from training.train import TrainResult

RunTraining = Callable[..., TrainResult]


def lines(result: TrainResult) -> dict[str, str]:
    card = result.bundle.read("card.md").decode()
    assert (result.folder / "report" / "card.md").read_text(encoding="utf-8") == card
    section = card.partition("## Training\n")[2].partition("\n## ")[0]
    return dict(line[2:].split(": ", 1) for line in section.splitlines() if line.startswith("- "))


def test_a_network_tells_what_it_starts_from(trained_network: TrainResult) -> None:
    assert lines(trained_network)["starts from"] == "random weights"


def test_the_parts_add_up(run_training: RunTraining, examples: list[Example], tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"text": example.text, **example.labels} for example in examples]
    rows.append({"text": "\u200b\u200b", "sentiment": "negative"})  # nothing but invisible characters
    train = write_rows(tmp_path / "more.jsonl", rows)  # with the four rows of dev and the four of test
    found = lines(run_training("network", "calibration=0.25", train=(train,)))
    assert found["labelled rows read"] == "33 = 25 train + 4 dev + 4 test"
    assert found["of the train rows"] == (
        "25 = 12 trained on + 4 held out to calibrate on + 8 left out because dev or test holds the same or nearly the "
        "same + 1 unreadable"
    )
    assert found["of the dev rows"] == "4 = 4 the epoch was chosen by + 0 unreadable"
    assert found["of the test rows"] == "4 = 4 measured on + 0 unreadable"
    for value in (value for name, value in found.items() if name.startswith(("of the", "labelled"))):
        whole, *parts = (int(number) for number in re.findall(r"(?:^|[=+] )(\d+)", value))
        assert whole == sum(parts)


def test_a_linear_model_chooses_no_epoch(run_training: RunTraining) -> None:
    found = lines(run_training("linear", test=None))
    assert found["of the dev rows"] == "4 = 4 measured on + 0 unreadable"
    assert found["labelled rows read"] == "22 = 18 train + 4 dev"
    assert "of the test rows" not in found
