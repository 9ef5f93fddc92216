"""The record of one training: what MLflow gets to know of it, kept as JSON so that it can be published later too."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline.atomic import write_text


@dataclass(frozen=True, slots=True)
class DataRecord:
    """One input file of a training: its file name, role, number of rows and sha256."""

    name: str
    role: str  # train | dev | test
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Everything that MLflow gets to know about one training. Never a text of a comment."""

    experiment: str
    run_name: str
    params: Mapping[str, str | int | float | bool]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    data: Sequence[DataRecord] = ()
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)  # name -> (step, value)
    artifacts: Sequence[Path] = ()  # files: plots, card, report, label map, thresholds


def save_record(record: RunRecord, path: Path) -> None:
    """Write the record as JSON, artifacts by their paths relative to the training's folder."""
    body = asdict(record)
    body["artifacts"] = [file.relative_to(path.parent).as_posix() for file in record.artifacts]
    write_text(path, json.dumps(body, ensure_ascii=False, indent=1))


def load_record(path: Path) -> RunRecord:
    """Read what `save_record` wrote."""
    body = json.loads(path.read_text(encoding="utf-8"))
    data = [DataRecord(**entry) for entry in body.pop("data")]
    curves = {name: [(step, value) for step, value in curve] for name, curve in body.pop("curves").items()}
    artifacts = [path.parent / name for name in body.pop("artifacts")]
    return RunRecord(**body, data=data, curves=curves, artifacts=artifacts)
