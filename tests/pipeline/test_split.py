import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.columns import read_examples
from pipeline.errors import ConfigError, UsageError
from pipeline.feedback import Example
from pipeline.schema import LabelSchema
from pipeline.split import Split, split_examples, write_split

Make = Callable[..., Example]
HAN = [chr(code) for code in range(0x4E00, 0x5E00)]


@pytest.fixture
def many(make_example: Make) -> list[Example]:
    """400 unlike comments (random characters) with labels of very unequal frequency; urgency at every fourth only."""
    letters = random.Random(5)
    made = []
    for i in range(400):
        sentiment = letters.choices(["negative", "neutral", "positive"], [60, 25, 15])[0]
        labels: dict[str, Any] = {"sentiment": sentiment, "aspects": {"logistics" if i % 2 else "price": -1}}
        if i % 4 == 0:
            labels["urgency"] = letters.choices(["low", "critical"], [90, 10])[0]
        made.append(make_example("".join(letters.choices(HAN, k=20)), id=str(i), **labels))
    return made


def shares(split: Split, task: str, label: str) -> list[int]:
    return [sum(example.labels.get(task) == label for example in part) for part in split.parts().values()]


def test_every_row_is_in_one_part_in_its_old_order(many: list[Example]) -> None:
    split = split_examples(many, seed=1)
    ids = [[int(example.feedback.id) for example in part] for part in split.parts().values()]
    assert sorted(i for part in ids for i in part) == list(range(400))
    assert all(part == sorted(part) for part in ids)
    assert [len(part) for part in ids] == pytest.approx([320, 40, 40], abs=4)


def test_labels_keep_their_shares(many: list[Example]) -> None:
    split = split_examples(many, fractions=(0.6, 0.2, 0.2), seed=1)
    for task in ("sentiment", "urgency"):
        for label, total in Counter(str(e.labels[task]) for e in many if task in e.labels).items():
            assert shares(split, task, label) == pytest.approx([0.6 * total, 0.2 * total, 0.2 * total], abs=2), label


def test_near_duplicates_and_groups_stay_on_one_side(many: list[Example], make_example: Make) -> None:
    doubled = [make_example(f"{example.text}！呀", id=f"{i}b", sentiment="negative") for i, example in enumerate(many)]
    grouped = [make_example("".join(HAN[i * 20 : i * 20 + 20]), group=f"user{i % 7}") for i in range(70)]
    split = split_examples([*many, *doubled, *grouped], seed=2)
    side = {example.text: name for name, part in split.parts().items() for example in part}
    assert all(side[example.text] == side[f"{example.text}！呀"] for example in many)
    for i in range(7):
        assert len({name for name, part in split.parts().items() for e in part if e.group == f"user{i}"}) == 1
    assert all(e.group.startswith("near-") for part in split.parts().values() for e in part if e.feedback.id)


def test_the_seed_decides(many: list[Example]) -> None:
    assert split_examples(many, seed=1) == split_examples(many, seed=1)
    assert split_examples(many, seed=1).test != split_examples(many, seed=2).test


def test_a_part_may_be_empty(many: list[Example], tmp_path: Path) -> None:
    split = split_examples(many[:40], fractions=(0.75, 0.25, 0))
    assert len(split.train) == pytest.approx(30, abs=1)
    assert not split.test
    write_split(split, tmp_path / "parts")
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["dev.jsonl", "manifest.json", "train.jsonl"]


@pytest.mark.parametrize("fractions", [(0.5, 0.2, 0.2), (1.2, -0.1, -0.1), (0.0, 0.5, 0.5)])
def test_fractions_that_are_none_are_told(many: list[Example], fractions: tuple[float, float, float]) -> None:
    with pytest.raises(ConfigError) as caught:
        split_examples(many, fractions=fractions)
    shown = ", ".join(f"{fraction:g}" for fraction in fractions)
    assert caught.value.message == (
        f"fractions of train, dev and test are not negative, train's not 0, and sum to 1; found {shown}"
    )


def test_written_files_are_the_same_byte_for_byte(many: list[Example], tmp_path: Path) -> None:
    manifests = [write_split(split_examples(many, seed=3), tmp_path / name) for name in ("one", "two")]
    assert manifests[0] == manifests[1]
    for name, entry in manifests[0]["files"].items():
        raw = (tmp_path / "one" / name).read_bytes()
        assert raw == (tmp_path / "two" / name).read_bytes()
        assert entry["sha256"] == hashlib.sha256(raw).hexdigest()
    assert json.loads((tmp_path / "one" / "manifest.json").read_text(encoding="utf-8")) == manifests[0]


def test_manifest_tells_how_it_came_about(examples: list[Example], tmp_path: Path) -> None:
    source = tmp_path / "source.csv"
    source.write_bytes(b"abc")
    manifest = write_split(split_examples(examples, seed=4), tmp_path / "parts", inputs=[source])
    assert manifest["seed"] == 4
    assert manifest["inputs"] == [{"name": "source.csv", "sha256": hashlib.sha256(b"abc").hexdigest()}]
    assert manifest["stratify"] == ["sentiment", "category", "aspects", "urgency"]
    assert sum(entry["rows"] for entry in manifest["files"].values()) == len(examples)
    train = manifest["files"]["train.jsonl"]
    assert sum(train["labels"]["sentiment"].values()) == train["rows"] == train["groups"]


def test_parts_are_read_as_the_examples_they_were(examples: list[Example], schema: LabelSchema, tmp_path: Path) -> None:
    split = split_examples(examples, fractions=(1.0, 0.0, 0.0))
    write_split(split, tmp_path / "parts")
    assert read_examples(tmp_path / "parts" / "train.jsonl", schema) == examples


def test_an_existing_folder_is_never_touched(examples: list[Example], tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        write_split(split_examples(examples), tmp_path)
    assert caught.value.message == f"{tmp_path} exists already; name a new folder with --output"
    assert not list(tmp_path.iterdir())
