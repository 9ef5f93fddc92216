"""A trained model calibrated anew on other labelled rows: temperatures, cuts, thresholds, and a joint model's mix.

fankui calibrate default own.jsonl --test own-test.jsonl -o models/mine

Needs no training: a few hundred rows of one's own make the probabilities mean what they say there.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from models.bundle import ModelBundle, write_bundle
from models.joint import JointModel, mix_file
from models.loading import read_predictor
from models.predictor import BundlePredictor
from pipeline.errors import DataError
from training.calibrate_rows import calibrated_on, one_window
from training.card import model_card, training_facts
from training.evaluate import Report, evaluate
from training.few_rows import unsure
from training.fit_joint import fit_mixes
from training.rows import InputFile, Rows


@dataclass(frozen=True)
class Recalibrated:
    """The new model and how it, and the old one before, did on the rows that it was measured on."""

    bundle: ModelBundle
    report: Report
    before: Report
    few: tuple[str, ...]  # tasks with too few rows for the zone `auto`


def recalibrate(
    bundle: ModelBundle, rows: Rows, test: Rows, *, file: InputFile, folder: Path, split: str, precision: float = 0.9
) -> Recalibrated:
    """Write a model of the same weights to `folder`, measured on `test`. `file` is where `rows` are from.

    Raises DataError `no_rows` where there is none to calibrate on, BundleError `bundle_exists`.
    """
    if not len(rows):
        raise DataError("no_rows", f"{file.path} has no labelled row that {split} does not hold too; name another file")
    schema = bundle.schema
    old = read_predictor(bundle)
    model = old.model
    settings = bundle.json("config.json")
    if isinstance(model, JointModel):
        mixes = fit_mixes(schema, one_window(model, rows), network=model.network, linear=model.linear)
        model = JointModel(network=model.network, linear=model.linear, mixes=mixes, schema=schema)
        settings["mix"] = mix_file(mixes)
    calibration, few = calibrated_on(model, schema, rows, precision=precision)
    predictor = BundlePredictor(
        model=model, schema=schema, calibration=calibration, model_version=f"{bundle.name}@candidate"
    )
    before = evaluate(old, test.examples, split=split, draws=1)  # its intervals are not shown
    report = evaluate(predictor, test.examples, split=split)
    facts = training_facts(bundle.read("card.md").decode())
    facts["rows calibrated on"] = f"{len(rows):,} of {file.path.name} (sha256 {file.sha256[:12]}){unsure(len(rows))}"
    kept = {
        name: value for name, value in bundle.json("metrics.json").items() if name.startswith(("train/", "parity/"))
    }
    written = write_bundle(
        folder,
        kind=bundle.kind,
        name=bundle.name,
        schema=schema,
        calibration=calibration,
        files=bundle.model_files() | {"config.json": json.dumps(settings, ensure_ascii=False, indent=1).encode()},
        metrics={**kept, **report.metrics},
        card=model_card(report, name=bundle.name, kind=bundle.kind, facts=facts, few=few),
    )
    return Recalibrated(written, replace(report, model_version=written.version), before, few)
