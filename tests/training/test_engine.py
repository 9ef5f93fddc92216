"""Eight bits for a trained network: kept where they change few labels, refused where they change many."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.bundle import ENGINE, ModelBundle, write_bundle
from models.loading import read_predictor
from models.onnx_model import PRECISION_VARIABLE
from models.predictor import Outputs
from pipeline.errors import BundleError, ConfigError
from pipeline.prepare import prepare
from training.engine import Engine, build_engine, changed_labels
from training.progress import Silent
from training.quantized import prepared_texts, quantized
from training.train import TrainResult

RunTraining = Callable[..., TrainResult]
TEXTS = [f"第{i}次了，{'快递没到' * (i % 5)}客服{'不回' * (i % 3)}，房间{'很好' * (i % 2)}" for i in range(1, 80)]


@pytest.fixture
def trained(trained_network: TrainResult) -> ModelBundle:
    return trained_network.bundle


def without_engine(bundle: ModelBundle, folder: Path) -> ModelBundle:
    files = {name: path for name, path in bundle.model_files().items() if name != ENGINE}
    return write_bundle(
        folder,
        kind=bundle.kind,
        name=bundle.name,
        schema=bundle.schema,
        calibration=bundle.calibration,
        files={**files, "config.json": bundle.path / "config.json"},
        metrics=bundle.json("metrics.json"),
        card=bundle.read("card.md").decode(),
    )


def test_a_form_in_eight_bits_for_a_model_that_has_none(
    trained: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = without_engine(trained, tmp_path / "plain")
    with pytest.raises(BundleError, match=r"has no engine\.onnx; score in fp32, or make one with `fankui quantize"):
        read_predictor(plain, precision="int8")
    comments = tmp_path / "comments.csv"
    comments.write_text("text\n" + "\n".join([*TEXTS, "", TEXTS[0]]), encoding="utf-8")
    texts = prepared_texts(comments, column="text")
    assert [text.text for text in texts] == [prepare(text).text for text in TEXTS]
    monkeypatch.setattr("training.engine.LIMIT", 1.0)  # a network of twenty rows is sure of nothing
    fast = quantized(plain, texts, folder=tmp_path / "fast", progress=Silent())
    assert fast.has(ENGINE)
    assert not plain.has(ENGINE)
    assert set(fast.manifest["files"]) == {*plain.manifest["files"], ENGINE}
    shares = [value for name, value in fast.json("metrics.json").items() if name.startswith("train/changed_by_8_bits_")]
    assert len(shares) == len(fast.schema.tasks)
    eight, full = (read_predictor(fast, precision=precision) for precision in ("int8", "fp32"))
    one, other = (predictor.predict_columns(TEXTS).probabilities for predictor in (eight, full))
    for name in one:
        assert 0 < np.abs(one[name] - other[name]).max() < 0.1
    reference = read_predictor(plain).predict_columns(TEXTS).probabilities
    np.testing.assert_array_equal(other["sentiment"], reference["sentiment"])


def test_too_many_changed_labels_are_refused(
    trained: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.engine.LIMIT", -1.0)
    with pytest.raises(BundleError) as caught:
        quantized(trained, [prepare(text) for text in TEXTS], folder=tmp_path / "fast", progress=Silent())
    assert caught.value.code == "labels_change"
    assert not (tmp_path / "fast").exists()


def test_the_limit_is_one_label_in_a_hundred() -> None:
    assert Engine(b"", None, {"a": 0.01, "b": 0.0}).fit  # type: ignore[arg-type]
    assert not Engine(b"", None, {"a": 0.0101, "b": 0.0}).fit  # type: ignore[arg-type]


def test_changed_labels_are_counted(trained: ModelBundle) -> None:
    model = read_predictor(trained).model

    class Turned:
        """Gives every third text the logits of another label."""

        windows, known_fraction = model.windows, model.known_fraction

        def logits(self, texts: list[str]) -> Outputs:
            found = model.logits(texts)
            logits = {name: np.array(values) for name, values in found.logits.items()}
            for row in range(0, len(texts), 3):
                logits["sentiment"][row] = np.roll(logits["sentiment"][row], 1)
            return replace(found, logits=logits)

    texts = [prepare(text) for text in TEXTS[:30]]
    found = changed_labels(trained.schema, trained.calibration, texts, reference=model, candidate=Turned())
    assert found["sentiment"] == pytest.approx(10 / 30)
    assert {share for name, share in found.items() if name != "sentiment"} == {0.0}


def test_an_architecture_without_that_form(trained: ModelBundle) -> None:
    files = {name: path.read_bytes() for name, path in trained.model_files().items()}
    body = json.loads(files["encoder.json"])
    body["config"]["encoder"]["model_type"] = "distilbert"
    files["encoder.json"] = json.dumps(body).encode()
    with pytest.raises(BundleError) as caught:
        build_engine(
            read_predictor(trained).model, files, trained.schema, trained.calibration, samples=TEXTS, measured=[]
        )
    assert caught.value.code == "not_fusable"
    assert "its architecture is 'distilbert', not 'bert'" in caught.value.message


def test_a_linear_model_has_no_eight_bits(run_training: RunTraining, tmp_path: Path) -> None:
    linear = run_training("linear").bundle
    with pytest.raises(BundleError, match="a linear model has no network"):
        quantized(linear, [prepare(text) for text in TEXTS], folder=tmp_path / "fast", progress=Silent())


def test_the_variable_chooses_the_precision(trained: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRECISION_VARIABLE, "bf16")
    with pytest.raises(ConfigError, match="FANKUI_PRECISION: expected int8 or fp32; found 'bf16'"):
        read_predictor(trained)
