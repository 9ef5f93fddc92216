"""Golden answers and labels that a model has to keep to."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.loading import load_predictor
from pipeline.errors import BundleError, ConfigError, DataError
from pipeline.schema import LabelSchema
from serving.terms import Terms, labels_digest
from tests.conftest import COMMENTS


@pytest.fixture(scope="module")
def predictor(linear_bundle: Path) -> Any:
    return load_predictor(linear_bundle)


@pytest.fixture
def answers(predictor: Any) -> list[dict[str, Any]]:
    """What the small model says, as golden rows."""
    rows = []
    for text, *_ in COMMENTS[:6]:
        (found,) = predictor.predict([text])
        aspects = {aspect.category: aspect.polarity for aspect in found.aspects["aspects"]}
        rows.append({"text": text, **{name: task.label for name, task in found.tasks.items()}, "aspects": aspects})
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_model_that_answers_as_labelled_passes(predictor: Any, answers: Any, tmp_path: Path) -> None:
    Terms(golden=write(tmp_path / "golden.jsonl", answers)).check_answers(predictor)
    only_one_task = [{"text": row["text"], "urgency": row["urgency"]} for row in answers]
    Terms(golden=write(tmp_path / "golden.jsonl", only_one_task)).check_answers(predictor)


@pytest.mark.parametrize("task", ["sentiment", "category", "urgency", "aspects"])
def test_one_other_label_fails_and_no_text_is_told(predictor: Any, answers: Any, tmp_path: Path, task: str) -> None:
    others = {"sentiment": "neutral", "category": "other", "urgency": "critical", "aspects": {"other": 0}}
    assert answers[1][task] != others[task]
    answers[1][task] = others[task]
    golden = write(tmp_path / "golden.jsonl", answers)
    with pytest.raises(BundleError) as caught:
        Terms(golden=golden).check_answers(predictor)
    assert caught.value.code == "golden_failed"
    assert f"answers 1 of 6 comments of {golden} otherwise" in caught.value.message
    assert f"by comment 2: {task} is " in caught.value.message
    assert answers[1]["text"] not in caught.value.message


def test_files_that_check_nothing_are_refused(predictor: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        Terms(golden=tmp_path / "none.jsonl").check_answers(predictor)
    with pytest.raises(ConfigError) as caught:
        Terms(golden=write(tmp_path / "golden.jsonl", [{"text": "快递很快"}])).check_answers(predictor)
    assert caught.value.code == "golden_empty"


def test_other_labels_are_refused_and_other_words_for_them_are_not(schema: LabelSchema) -> None:
    terms = Terms(labels=labels_digest(schema))
    first, *others = schema.tasks
    terms.check_labels(replace(schema, tasks=(replace(first, definition="x", zh="x"), *others)))
    for tasks in ((first,), (replace(first, labels=first.labels[::-1]), *others)):
        with pytest.raises(BundleError) as caught:
            terms.check_labels(replace(schema, tasks=tasks))
        assert caught.value.code == "labels_differ"
