"""The main story: from labelled files to a registered model.

fankui train --train data/samples/train.jsonl --dev data/samples/dev.jsonl --test data/samples/test.jsonl
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from models.bundle import ModelBundle, check_name, open_bundle, write_bundle
from models.calibration import Calibration
from models.loading import load_predictor
from models.parity import check_parity
from models.predictor import BundlePredictor
from models.resolving import resolve_model
from pipeline.atomic import write_text
from pipeline.columns import column_map
from pipeline.errors import BundleError, FeedbackError, UsageError
from pipeline.schema import LabelSchema, load_schema
from training.calibrate import fit_calibration
from training.calibrate_rows import calibrated_on
from training.columns import gold_columns
from training.config import TrainConfig, to_toml
from training.evaluate import Report, evaluate
from training.few_rows import never_auto, too_few
from training.fitting import Fitted, fit, with_settings
from training.progress import Progress, Silent
from training.record import Findings, run_record, write_reports
from training.rows import InputFile, Parts, input_file, part, read_rows
from training.run_folder import BUNDLE, CHECKPOINTS, PUBLISHED, RECORD, REPORT, run_folder
from training.run_record import load_record, save_record


@dataclass(frozen=True)
class TrainResult:
    """A finished training. `reports` by split: dev, and test where there is one; none where it was only published."""

    bundle: ModelBundle
    folder: Path
    reports: dict[str, Report]
    run_id: str | None = None
    version: str | None = None  # of the registry, such as fankui/3


def train(config: TrainConfig, *, progress: Progress | None = None, show_settings: bool = False) -> TrainResult | None:
    """Train as told. None in the processes beside the first one of a training on several.

    `show_settings`: report the resolved settings, once the rows are read and nothing is wrong with them.
    Ctrl-C raises KeyboardInterrupt after a checkpoint is saved. Raises FeedbackError for everything that a user
    can mend.
    """
    progress = progress or Silent()
    check_name(config.name)
    schema = load_schema(config.schema)
    if config.model != "linear" and config.network.start:
        resolve_model(config.network.start)  # a name that is nowhere is told before the rows are read
    folder = run_folder(config)
    if (folder / BUNDLE).exists():
        return publish_again(config, folder, progress=progress)
    if config.track:
        reach_registry()
    parts, files = read_parts(config, schema, progress)
    if show_settings:
        progress.say(to_toml(config) + "\n")
    fitted = fit_resumably(config, schema, parts, folder=folder, progress=progress)
    if fitted is None:
        return None
    parity = prove_parity(fitted, schema, parts, progress)
    calibration, few = calibrate(config, fitted, schema, parts)
    if few:
        progress.say(never_auto(few))
    fitted = in_eight_bits(fitted, schema, calibration, parts, seed=config.seed, progress=progress)
    predictor = BundlePredictor(
        model=fitted.model, schema=schema, calibration=calibration, model_version=f"{config.name}@candidate"
    )
    reports = evaluate_splits(predictor, parts, progress)
    findings = Findings(config, fitted, parts, files, reports, parity, few)
    artifacts = write_reports(findings, folder / REPORT)
    # Written before the bundle, so that a bundle can always be published, also after a kill.
    kept = [*artifacts, *(folder / BUNDLE / name for name in ("schema.json", "calibration.json"))]
    save_record(run_record(findings, run_name=folder.name, artifacts=kept), folder / RECORD)
    bundle = write_bundle(
        folder / BUNDLE,
        kind=fitted.kind,
        name=config.name,
        schema=schema,
        calibration=calibration,
        files=with_settings(fitted, config),
        metrics=findings.metrics,
        card=findings.card(),
    )
    verify_bundle(bundle, fitted, parts)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    progress.say(f"bundle {bundle.version} in {bundle.path}")
    run_id, version = publish_run(config, bundle, folder=folder, progress=progress)
    return TrainResult(bundle, folder, reports, run_id, version)


def read_parts(config: TrainConfig, schema: LabelSchema, progress: Progress) -> tuple[Parts, list[InputFile]]:
    """Read all files, take leaks out of the training rows, hold rows out to calibrate on."""
    if not config.train or config.dev is None:
        raise UsageError("data_missing", "a training needs --train FILE and --dev FILE; `fankui data split` makes both")
    named = [(path, "train") for path in config.train] + [(config.dev, "dev")]
    named += [(config.test, "test")] if config.test else []
    columns = column_map(config.text_column, config.label_columns)
    found = {path: read_rows(path, schema, columns=columns) for path, _ in named}
    files = [input_file(path, role=role, rows=len(found[path])) for path, role in named]
    parts = part(
        [found[path] for path in config.train],
        found[config.dev],
        found[config.test] if config.test else None,
        calibration=config.held_out,
        seed=config.seed,
        near_duplicates=config.near_duplicates,
    )
    unreadable = sum(rows.unreadable for rows in found.values())
    if unreadable:
        progress.say(f"{unreadable} rows left out: empty text, or text that cannot be read (`fankui data check`)")
    if parts.leaked:
        progress.say(f"{parts.leaked} training rows left out: dev or test holds the same or nearly the same text")
    apart = f"{len(parts.calibration):,} to calibrate on, " if config.held_out else ""
    progress.say(
        f"{len(parts.train):,} rows to train on, {apart}"
        f"{len(parts.dev):,} dev, {len(parts.test) if parts.test else 0:,} test"
    )
    return parts, files


def fit_resumably(
    config: TrainConfig, schema: LabelSchema, parts: Parts, *, folder: Path, progress: Progress
) -> Fitted | None:
    """Fit; when interrupted, say how to go on."""
    try:
        return fit(config, schema, parts, folder=folder / CHECKPOINTS, progress=progress)
    except KeyboardInterrupt:
        if config.model != "linear":
            progress.say(f"stopped; go on with the same command and: --resume --output {folder}")
        raise


def prove_parity(fitted: Fitted, schema: LabelSchema, parts: Parts, progress: Progress) -> float | None:
    """Greatest difference of a probability between the trained network and its exported graph; None for linear."""
    if fitted.reference is None:
        return None
    texts = [*parts.dev.texts, *parts.calibration.texts, *parts.train.texts]
    worst = check_parity(schema, reference=fitted.reference, candidate=fitted.model, texts=texts)
    progress.say(f"the exported graph gives the network's probabilities within {worst:.1e}")
    return worst


def calibrate(
    config: TrainConfig, fitted: Fitted, schema: LabelSchema, parts: Parts
) -> tuple[Calibration, tuple[str, ...]]:
    """Temperatures, cuts and thresholds, on rows that the model was not fitted on; and the tasks with too few."""
    if fitted.unseen is not None:
        gold = gold_columns(fitted.unseen.rows.examples, schema)
        fit = fit_calibration(schema, gold, fitted.unseen.logits, precision=config.precision_wanted)
        return fit, too_few(schema, gold)
    return calibrated_on(fitted.model, schema, parts.calibration, precision=config.precision_wanted)


def in_eight_bits(
    fitted: Fitted, schema: LabelSchema, calibration: Calibration, parts: Parts, *, seed: int, progress: Progress
) -> Fitted:
    """The model as it will answer: in 8 bits where they change few labels and its architecture has that form."""
    if fitted.kind == "linear":
        return fitted
    from training.engine import engine_of, with_engine  # onnx takes half a second to import

    with progress.bar("8 bits", 100) as advance:
        try:
            engine = engine_of(fitted, schema, calibration, parts, seed=seed, advance=lambda s: advance(round(100 * s)))
        except BundleError as error:
            if error.code != "not_fusable":
                raise
            progress.say(error.message)
            return fitted
    progress.say(engine.told() + ("" if engine.fit else "; over 1 %, so that it goes on in float32"))
    return with_engine(fitted, engine) if engine.fit else fitted


def evaluate_splits(predictor: BundlePredictor, parts: Parts, progress: Progress) -> dict[str, Report]:
    """Reports on dev, and on test where there is one."""
    splits = {"dev": parts.dev, **({"test": parts.test} if parts.test else {})}
    reports = {}
    with progress.bar("evaluating", len(splits)) as advance:
        for done, (split, rows) in enumerate(splits.items(), 1):
            reports[split] = evaluate(predictor, rows.examples, split=split)
            advance(done, note=split)
    return reports


def verify_bundle(bundle: ModelBundle, fitted: Fitted, parts: Parts) -> None:
    """Read the bundle as scoring does and compare the answers; one that differs is removed and BundleError raised."""
    try:
        check_parity(
            bundle.schema, reference=fitted.model, candidate=load_predictor(bundle.path).model, texts=parts.dev.texts
        )
    except FeedbackError:
        shutil.rmtree(bundle.path)
        raise


def publish_again(config: TrainConfig, folder: Path, *, progress: Progress) -> TrainResult:
    """Publish a training that was finished before, as after a registry that did not answer."""
    bundle = open_bundle(folder / BUNDLE)
    progress.say(f"{folder} is trained already: publishing {bundle.version}")
    run_id, version = publish_run(config, bundle, folder=folder, progress=progress)
    return TrainResult(bundle, folder, {}, run_id, version)


def reach_registry() -> None:
    """Raise ConfigError before the hours of a fit, rather than after, where MLflow does not answer."""
    from models.registry import quiet_client

    quiet_client()


def publish_run(
    config: TrainConfig, bundle: ModelBundle, *, folder: Path, progress: Progress
) -> tuple[str | None, str | None]:
    """Track in MLflow and register as told; returns run id and registered version."""
    if not config.track:
        return None, None
    from training.publish import publish

    try:
        published = publish(bundle, record=load_record(folder / RECORD), as_version=config.register)
    except BaseException:
        progress.say(f"not published; do that with the same command and: --resume --output {folder}")
        raise
    version = published.version.model_version if published.version else None
    progress.say(f"MLflow run {published.run_id}" + (f", registered as {version}" if version else ""))
    write_text(folder / PUBLISHED, json.dumps({"run_id": published.run_id, "version": version}))
    return published.run_id, version
