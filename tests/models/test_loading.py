"""models/loading.py: from a folder to a predictor."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.bundle import ModelBundle
from models.champion import keep_copy
from models.loading import ResolvedModel, load_predictor
from pipeline.errors import BundleError
from pipeline.schema import LabelSchema, schema_from_dict


def test_a_bundle_answers_under_its_own_version(tiny_bundle: ModelBundle) -> None:
    assert load_predictor(tiny_bundle.path).model_version == tiny_bundle.version


def test_a_registered_one_names_its_number_too(tiny_bundle: ModelBundle) -> None:
    resolved = ResolvedModel(tiny_bundle.path, "tiny/4", "champion", tiny_bundle.digest)
    assert load_predictor(resolved).model_version == f"tiny/4@{tiny_bundle.digest[:12]}"


def test_a_champion_that_was_exchanged_is_refused(tmp_path: Path, tiny_bundle: ModelBundle) -> None:
    champion = keep_copy(tmp_path, tiny_bundle, name="tiny", version="1")
    folder = champion.folder(tmp_path)
    with pytest.raises(BundleError) as raised:
        load_predictor(ResolvedModel(folder, "tiny/1", "champion", "0" * 64))
    assert raised.value.message == f"{folder} is not the model that was promoted; run `fankui promote` again"


def test_another_schema_is_refused(tiny_bundle: ModelBundle, schema: LabelSchema) -> None:
    with pytest.raises(BundleError) as raised:
        load_predictor(tiny_bundle.path, schema=schema)
    assert raised.value.code == "schema_mismatch"
    only_mood = schema_from_dict({"tasks": {"mood": tiny_bundle.schema.to_dict()["tasks"]["mood"]}})
    with pytest.raises(BundleError, match="task 'level' differs from the schema that was given"):
        load_predictor(tiny_bundle.path, schema=only_mood)


def test_a_linear_model_answers_without_an_engine(tiny_bundle: ModelBundle) -> None:
    heavy = ("onnxruntime", "torch", "sklearn", "mlflow", "jieba", "pandas")
    program = (
        "import sys; from pathlib import Path; from models.loading import load_predictor; "
        f"load_predictor(Path({str(tiny_bundle.path)!r})).predict(['快递很慢']); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert run.stdout.strip() == "[]"
