"""Models beside the small one, for tests that have to tell which of them answered."""

from pathlib import Path

from safetensors.numpy import load, save

from models.bundle import ModelBundle, write_bundle
from pipeline.schema import LabelSchema


def contrary(bundle: ModelBundle, folder: Path, *, name: str = "contrary") -> Path:
    """A linear bundle that finds least likely what the given one finds most likely."""
    tensors = load(bundle.read("weights.safetensors"))
    tensors = {key: value if key.startswith("idf.") else -value for key, value in tensors.items()}
    return copied(bundle, folder, name=name, weights=save(tensors))


def copied(
    bundle: ModelBundle, folder: Path, *, name: str, weights: bytes | None = None, schema: LabelSchema | None = None
) -> Path:
    """A linear bundle like the given one under another name."""
    files = {file: bundle.read(file) for file in ("config.json", "vocabulary.json", "weights.safetensors")}
    write_bundle(
        folder,
        kind="linear",
        name=name,
        schema=schema or bundle.schema,
        calibration=bundle.calibration,
        files=files if weights is None else {**files, "weights.safetensors": weights},
        metrics={},
        card="x",
    )
    return folder
