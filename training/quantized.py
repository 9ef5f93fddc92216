"""A trained model with a form in 8 bits added; its weights, calibration and card stay as they are."""

from pathlib import Path

from models.bundle import ENGINE, ModelBundle, refuse_existing, write_bundle
from models.loading import read_predictor
from models.quantize import TEXTS
from pipeline.columns import ColumnMap, require_columns, to_feedback
from pipeline.errors import BundleError, DataError, TextError
from pipeline.prepare import Prepared, prepare
from pipeline.readers import open_file
from pipeline.rows import BAD_ROW
from training.engine import MEASURED, build_engine
from training.progress import Progress


def prepared_texts(path: Path, *, column: str) -> list[Prepared]:
    """The distinct comments of a file, as many as calibrate and measure a form in 8 bits. Raises DataError."""
    file, names = open_file(path), ColumnMap(text=column)
    require_columns(file, names)
    found: dict[str, Prepared] = {}
    for row in (row for batch in file.batches() for row in batch.rows if BAD_ROW not in row):
        try:
            one = prepare(to_feedback(row, names).text)
        except TextError:
            continue
        found.setdefault(one.text, one)
        if len(found) == TEXTS + MEASURED:
            break
    if len(found) < 2:
        raise DataError(
            "no_rows", f"expected at least two comments to calibrate 8 bits on; found {len(found)} in {path}"
        )
    return list(found.values())


def quantized(bundle: ModelBundle, texts: list[Prepared], *, folder: Path, progress: Progress) -> ModelBundle:
    """Write a model of the same weights with a form in 8 bits to `folder`.

    Half of the texts, at most 1,000, calibrate; the others tell how many labels change. Raises BundleError
    `not_fusable`, `labels_change` where over 1 % of a task's would, `bundle_exists`.
    """
    if bundle.kind == "linear":
        raise BundleError("not_fusable", "a linear model has no network to put into 8 bits; it is fast as it is")
    refuse_existing(folder)
    samples = min(TEXTS, len(texts) // 2)
    with progress.bar("8 bits", 100) as advance:
        engine = build_engine(
            read_predictor(bundle, precision="fp32").model,
            {name: path.read_bytes() for name, path in bundle.model_files().items() if name != ENGINE},
            bundle.schema,
            bundle.calibration,
            samples=[text.text for text in texts[:samples]],
            measured=texts[samples:],
            advance=lambda share: advance(round(100 * share)),
        )
    progress.say(f"{engine.told()}, of {len(texts) - samples:,} comments")
    if not engine.fit:
        raise BundleError("labels_change", f"8 bits would change over 1 % of a task's labels ({engine.told()})")
    return write_bundle(
        folder,
        kind=bundle.kind,
        name=bundle.name,
        schema=bundle.schema,
        calibration=bundle.calibration,
        files={**bundle.model_files(), "config.json": bundle.path / "config.json", ENGINE: engine.graph},
        metrics={**bundle.json("metrics.json"), **{f"train/{name}": share for name, share in engine.facts.items()}},
        card=bundle.read("card.md").decode(),
    )
