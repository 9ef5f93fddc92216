"""What a finished training leaves behind to be looked at: reports, plots, card, and its record for MLflow."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.atomic import write_text
from pipeline.prepare import text_contract
from pipeline.resources import shipped
from training.card import model_card
from training.config import NONE, SHIPPED, NetworkSettings, TrainConfig, to_toml
from training.evaluate import Report
from training.fitting import Fitted, settings_of
from training.rows import InputFile, Parts, Rows
from training.run_record import DataRecord, RunRecord


@dataclass(frozen=True)
class Findings:
    """A fitted model's figures and where they come from."""

    config: TrainConfig
    fitted: Fitted
    parts: Parts
    files: Sequence[InputFile]
    reports: Mapping[str, Report]  # by split: dev, and test where there is one
    parity: float | None  # greatest difference between the trained and the exported network
    few: Collection[str] = ()  # tasks with too few rows to calibrate on

    @property
    def report(self) -> Report:
        """On test where there is one, else on dev."""
        return self.reports.get("test") or self.reports["dev"]

    @property
    def metrics(self) -> dict[str, float]:
        """All figures of all splits, and the facts of the training."""
        found = {name: value for report in self.reports.values() for name, value in report.metrics.items()}
        found |= {f"train/{name}": value for name, value in self.fitted.facts.items()}
        return found if self.parity is None else {**found, "parity/max_difference": self.parity}

    def card(self) -> str:
        """The model card."""
        return model_card(self.report, name=self.config.name, kind=self.fitted.kind, facts=self._facts(), few=self.few)

    def _facts(self) -> dict[str, str]:
        parent = self.fitted.parent
        facts = {
            **({"labels": self.config.about} if self.config.about else {}),
            **({"goes on from": f"{parent}, and knows what that model has learnt"} if parent else {}),
            **({} if parent or self.fitted.kind == "linear" else {"starts from": _start(self.config.network)}),
            "files": ", ".join(f"{file.path.name} ({file.role}, sha256 {file.sha256[:12]})" for file in self.files),
            **self._rows(),
            "rows calibrated on": self._calibrated_on(),
            "seed": str(self.config.seed),
        }
        return facts | {name.replace("_", " "): f"{value:g}" for name, value in self.fitted.facts.items()}

    def _rows(self) -> dict[str, str]:
        """What became of every labelled row that was read: the parts of a line add up to what it begins with."""
        parts = self.parts
        after = f", after what {self.fitted.parent.version} was trained on" if self.fitted.parent else ""
        train = {
            f"trained on{after}": len(parts.train),
            "held out to calibrate on": len(parts.calibration),
            "left out because dev or test holds the same or nearly the same": parts.leaked,
            "unreadable": parts.train.unreadable,
        }
        chosen = "measured on" if self.fitted.kind == "linear" else "the epoch was chosen by"
        found = {"train": sum(train.values()), **_measured("dev", parts.dev), **_measured("test", parts.test)}
        lines = {"labelled rows read": _sum(found), "of the train rows": _sum(train)}
        lines["of the dev rows"] = _sum({chosen: len(parts.dev), "unreadable": parts.dev.unreadable})
        if parts.test:
            lines["of the test rows"] = _sum({"measured on": len(parts.test), "unreadable": parts.test.unreadable})
        return lines

    def _calibrated_on(self) -> str:
        if self.fitted.unseen is None:
            return f"{len(self.parts.calibration):,}, held out"
        folds = self.config.linear.folds
        return f"{len(self.fitted.unseen.rows):,}, each by one of {folds} models that were fitted without it"


def _start(network: NetworkSettings) -> str:
    """What a network that goes on from no model began with."""
    if network.encoder == NONE:
        return "random weights"
    if network.encoder == SHIPPED:
        return "the shipped encoder, of which models/encoder/README.md tells data and compute"
    return f"the encoder {Path(network.encoder).name}" + (f" at {network.revision}" if network.revision else "")


def write_reports(findings: Findings, folder: Path) -> tuple[Path, ...]:
    """Write reports, card and plots; returns their paths. No text of a comment is in any of them."""
    from training.plots import draw_plots

    written = [
        write_text(folder / "card.md", findings.card()),
        write_text(folder / "config.toml", to_toml(findings.config)),
    ]
    for split, report in findings.reports.items():
        body = json.dumps(report.to_dict(), ensure_ascii=False, indent=1)
        written.append(write_text(folder / f"report-{split}.json", body))
    return (*written, *draw_plots(findings.report, folder))


def run_record(findings: Findings, *, run_name: str, artifacts: Sequence[Path]) -> RunRecord:
    """The record of this training for training/tracking.py."""
    from training.git_state import git_state

    data = [DataRecord(file.path.name, file.role, file.rows, file.sha256) for file in findings.files]
    tags = {
        **git_state(shipped("data").parent),
        "data.digest": _digest(findings.files),
        "model.kind": findings.fitted.kind,
        "normalizer.digest": text_contract().digest,
        "schema.version": findings.report.schema.version,
        "schema.digest": findings.report.schema.digest,
        "seed": str(findings.config.seed),
    }
    return RunRecord(
        experiment=findings.config.name,
        run_name=run_name,
        params=_scalars(settings_of(findings.fitted, findings.config)),
        metrics=findings.metrics,
        tags=tags,
        data=data,
        curves=findings.fitted.curves,
        artifacts=artifacts,
    )


def _measured(role: str, rows: Rows | None) -> dict[str, int]:
    return {role: len(rows) + rows.unreadable} if rows else {}


def _sum(parts: Mapping[str, int]) -> str:
    """`12 = 9 trained on + 3 unreadable`."""
    return f"{sum(parts.values()):,} = " + " + ".join(f"{count:,} {name}" for name, count in parts.items())


def _digest(files: Sequence[InputFile]) -> str:
    return hashlib.sha256("\n".join(f"{file.role} {file.sha256}" for file in files).encode()).hexdigest()


def _scalars(body: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Nested settings as short flat params; a list becomes one string."""
    flat: dict[str, str | int | float | bool] = {}
    for key, value in body.items():
        if isinstance(value, Mapping):
            flat |= _scalars(value, f"{prefix}{key}.")
        elif isinstance(value, str | int | float):
            flat[prefix + key] = value
        elif value is not None:
            flat[prefix + key] = ",".join(map(str, value))
    return flat
