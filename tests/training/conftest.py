"""Answers of imagined models, drawn with a seed: good enough to measure, made without any training. Public sets; and
small trainings."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.calibration import Calibration
from pipeline.feedback import Example, Feedback
from pipeline.schema import Kind, LabelSchema
from tests.conftest import COMMENTS
from tests.training.labeled_rows import write_rows
from training.columns import Floats, Labels
from training.config import resolve
from training.progress import Silent
from training.scored import Scored
from training.train import TrainResult, train

MakeScored = Callable[..., Scored]


def drawn_answers(
    schema: LabelSchema, rows: int, skill: float, seed: int
) -> tuple[dict[str, Labels], dict[str, Floats]]:
    """Gold labels (the same for every skill), and probabilities that lean to them by `skill`."""
    truth, noise = np.random.default_rng(1), np.random.default_rng(seed)
    gold: dict[str, Labels] = {}
    answers: dict[str, Floats] = {}
    for task in schema.tasks:
        k = len(task.labels)
        if task.kind is Kind.ASPECT:
            gold[task.name] = truth.choice(4, p=(0.85, 0.07, 0.03, 0.05), size=(rows, k))
            logits = noise.normal(size=(rows, k, 4)) + np.array([3.0, 0, 0, 0])
            logits += 2 * skill * np.eye(4)[gold[task.name]]
        else:
            gold[task.name] = truth.integers(0, k, size=rows)
            logits = noise.normal(size=(rows, k)) + skill * np.eye(k)[gold[task.name]]
        odds = np.exp(logits)
        answers[task.name] = odds / odds.sum(axis=-1, keepdims=True)
    return gold, answers


@pytest.fixture
def make_scored(schema: LabelSchema) -> MakeScored:
    """`make_scored(rows=300, skill=2.0)`: answers for invented comments; more skill, more right."""

    def make(
        *, rows: int = 300, skill: float = 2.0, seed: int = 0, version: str = "m@1", labels: LabelSchema = schema
    ) -> Scored:
        gold, answers = drawn_answers(labels, rows, skill, seed)
        examples = [Example(Feedback(f"第{i}条：东西收到了"), {}, source=("shop", "app")[i % 2]) for i in range(rows)]
        return Scored(examples, labels, Calibration.identity(labels), version, answers, gold)

    return make


PUBLIC = {
    "chnsenticorp/train": {
        "text": ["房间朝南，晒得到太阳", "房间朝北，冷得睡不着", "早餐有豆浆油条，孩子爱吃", "前台问了三遍才理人"]
    },
    "chnsenticorp/dev": {"text": ["房间朝北，冷得睡不着"]},
    "chnsenticorp/test": {"text": [""]},
    "waimai_10k/all": {
        "text": ["汤洒了一袋子", "骑手迷路了，面都坨了", "好", None, "骑手迷路了，面都坨了！", "你好，汤洒了一袋子"]
    },
    "atec_pairs/train": {"text_a": ["怎么提前还款", "额度为什么降了"], "text_b": ["能不能早点还清", "额度为啥变少"]},
    "unlabelled_weibo_ced/all": {
        "text": [f"第{i}站到了，去{place}的乘客请下车" for i, place in enumerate("桥山河湖海" * 8)]
    },
}


@pytest.fixture(scope="session")
def public_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `$FANKUI_DATA` names one, with four small sets of our own sentences."""
    folder = tmp_path_factory.mktemp("public")
    for name, columns in PUBLIC.items():
        path = folder / "datasets" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
    (folder / "triage").mkdir()
    (folder / "triage" / "dev.jsonl").write_text(json.dumps({"text": "汤洒了一袋子"}) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def small_corpus(public_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus of those sets. Read only."""
    from training.corpus import CorpusSettings, build_corpus
    from training.vocabulary import VocabularySettings

    folder = tmp_path_factory.mktemp("corpora") / "corpus"
    build_corpus(
        public_data,
        folder,
        tokenizer=None,
        settings=CorpusSettings(shard_tokens=400),
        vocabulary=VocabularySettings(latin=0, min_count=1, words=False),
        progress=Silent(),
    )
    return folder


TINY = [
    "profile=quick",
    "encoder=none",
    "layers=1",
    "hidden=64",
    "epochs=2",
    "max_tokens=32",
    "learning_rate=0.002",
    "track=false",
]

RunTraining = Callable[..., TrainResult]


def write_labeled(folder: Path) -> dict[str, Path]:
    """The two dozen comments as files to train on."""
    rows: list[dict[str, object]] = [
        {"text": text, "sentiment": sentiment, "category": category, "aspects": aspects, "urgency": urgency}
        for text, sentiment, category, aspects, urgency in COMMENTS
    ]
    return {
        "train": write_rows(folder / "train.jsonl", rows[:16] + rows[16:18]),
        "dev": write_rows(folder / "dev.jsonl", rows[16:20]),
        "test": write_rows(folder / "test.jsonl", rows[20:]),
    }


def training_from(files: dict[str, Path], folder: Path) -> RunTraining:
    """`run("network", "epochs=1", output=…)`: from these files to a bundle in `folder`/out."""

    def run(model: str, *overrides: str, progress: Silent | None = None, **options: object) -> TrainResult:
        given = {**files, "train": (files["train"],), "model": model}
        common = ["track=false"] if model == "linear" else TINY
        config = resolve({**given, "output": folder / "out", **options}, overrides=[*common, *overrides])
        result = train(config, progress=progress)
        assert result is not None
        return result

    return run


@pytest.fixture
def labeled_files(tmp_path: Path) -> dict[str, Path]:
    return write_labeled(tmp_path)


@pytest.fixture
def run_training(labeled_files: dict[str, Path], tmp_path: Path) -> RunTraining:
    """Trains on the two dozen comments, into `tmp_path`."""
    return training_from(labeled_files, tmp_path)


@pytest.fixture(scope="session")
def trained_network(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A tiny network of those comments, trained once. Read only."""
    folder = tmp_path_factory.mktemp("trained")
    return training_from(write_labeled(folder), folder)("network", "epochs=1")
