"""The main story from files to a bundle, with both kinds of model, on a few comments of our own."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

from models.bundle import open_bundle
from models.loading import load_predictor
from models.tokenization import build_tokenizer
from pipeline.errors import BundleError, ConfigError, UsageError
from pipeline.feedback import Example
from tests.training.labeled_rows import write_rows
from training.config import TrainConfig
from training.progress import Silent
from training.train import TrainResult, train

RunTraining = Callable[..., TrainResult]


class Heard(Silent):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def say(self, message: str) -> None:
        self.messages.append(message)


def test_a_linear_model_from_files_to_bundle(run_training: RunTraining) -> None:
    heard = Heard()
    result = run_training("linear", progress=heard, about="由三人按同一份指南标注。")
    assert "2 training rows left out: dev or test holds the same or nearly the same text" in heard.messages
    assert "16 rows to train on, 4 dev, 4 test" in heard.messages  # folds let all of them calibrate too
    assert result.bundle.kind == "linear"
    assert result.bundle.json("config.json")["training"]["model"] == "linear"
    assert set(result.reports) == {"dev", "test"}
    assert "test/sentiment/macro_f1" in result.bundle.json("metrics.json")
    (answer,) = load_predictor(result.bundle.path).predict(["客服态度很好"])
    assert answer.model_version == result.bundle.version
    card = (result.folder / "report" / "card.md").read_text(encoding="utf-8")
    assert "- labels: 由三人按同一份指南标注。\n- files: train.jsonl" in card
    report = {path.name for path in (result.folder / "report").iterdir()}
    assert {"card.md", "config.toml", "report-dev.json", "report-test.json", "reliability.png"} <= report


def test_a_network_from_files_to_bundle(run_training: RunTraining, examples: list[Example]) -> None:
    result = run_training("network")
    metrics = result.bundle.json("metrics.json")
    assert metrics["parity/max_difference"] <= 1e-4
    assert metrics["train/epochs"] == 2
    assert not (result.folder / "checkpoints").exists()
    files = {path.name for path in result.bundle.path.iterdir()}
    assert {"model.onnx", "model.safetensors", "tokenizer.json", "encoder.json", "manifest.json"} <= files
    predictor = load_predictor(result.bundle.path)
    (answer,) = predictor.predict(["房间隔音差，" * 30])
    assert answer.windows > 1
    for path in (result.folder / "report").glob("*.json"):
        assert examples[20].text not in path.read_text(encoding="utf-8")


def test_a_network_from_an_encoder_folder(
    run_training: RunTraining, examples: list[Example], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "encoder"
    tokenizer = build_tokenizer([example.text for example in examples], max_tokens=24, min_count=1)
    config = BertConfig(
        vocab_size=tokenizer.backend.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
    )
    BertModel(config).to(torch.float16).save_pretrained(folder)
    tokenizer.backend.save(str(folder / "tokenizer.json"))
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "pad_token": "[PAD]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names), encoding="utf-8")
    capfd.readouterr()
    result = run_training("network", f"network.encoder={folder}")
    assert str(tmp_path) not in result.bundle.read("encoder.json").decode()
    settings = result.bundle.json("encoder.json")
    assert settings["tokenizer"]["max_tokens"] == 24  # the encoder has no more positions
    assert settings["config"]["encoder"]["hidden_size"] == 32


def test_files_with_different_labels_train_together_under_another_schema(
    run_training: RunTraining, tmp_path: Path
) -> None:
    schema = tmp_path / "labels.toml"
    schema.write_text(
        '[tasks.type]\nkind = "single"\nlabels = ["ask", "blame", "praise"]\n'
        '[tasks.tags]\nkind = "multi"\nlabels = ["parcel", "money"]\n',
        encoding="utf-8",
    )
    words = {"ask": "请问怎么弄", "blame": "太差了", "praise": "真不错"}
    kinds = [{"text": f"{word}，第{i}回了", "type": key} for i in range(8) for key, word in words.items()]
    tags = [{"text": f"包裹{i}号，退{i * 37}元", "tags": ["parcel", "money"][: i % 3]} for i in range(12)]
    result = run_training(
        "network",
        schema=schema,
        train=(write_rows(tmp_path / "kinds.jsonl", kinds[6:]), write_rows(tmp_path / "tags.jsonl", tags[3:])),
        dev=write_rows(tmp_path / "d.jsonl", [*kinds[:6], *tags[:3]]),
        test=None,
    )
    assert [task.name for task in result.bundle.schema.tasks] == ["type", "tags"]
    assert {"dev/type/macro_f1", "dev/tags/micro_f1"} <= set(result.bundle.json("metrics.json"))


def test_the_same_seed_gives_the_same_bundle(run_training: RunTraining, tmp_path: Path) -> None:
    first = run_training("linear", output=tmp_path / "a")
    assert run_training("linear", output=tmp_path / "b").bundle.digest == first.bundle.digest
    assert run_training("linear", output=tmp_path / "c", seed=8).bundle.digest != first.bundle.digest


def test_a_finished_training_is_not_touched(run_training: RunTraining) -> None:
    before = run_training("linear").bundle
    with pytest.raises(UsageError, match=r"holds a finished training; name another --output$"):
        run_training("linear", "strength=2")
    assert open_bundle(before.path).digest == before.digest


def test_a_name_that_cannot_be_a_folder_is_told_before_the_fit(run_training: RunTraining, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"up to 64 ASCII letters, digits, - _ \.; found '客服'$"):
        run_training("linear", name="客服")
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_a_registry_that_does_not_answer_is_told_before_the_fit(
    run_training: RunTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/nowhere/x.db")
    with pytest.raises(ConfigError, match="check MLFLOW_TRACKING_URI"):
        run_training("linear", "track=true")
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_a_training_whose_publishing_failed_is_published_by_resume(
    run_training: RunTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import training.publish

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    real = training.publish.publish

    def fails(*_: object, **__: object) -> None:
        raise ConfigError("registry_unreachable", "gone")

    monkeypatch.setattr(training.publish, "publish", fails)
    heard = Heard()
    with pytest.raises(ConfigError):
        run_training("linear", "track=true", progress=heard)
    assert heard.messages[-1] == (
        f"not published; do that with the same command and: --resume --output {tmp_path / 'out'}"
    )
    monkeypatch.setattr(training.publish, "publish", real)
    again = run_training("linear", "track=true", resume=True)
    assert again.version == "fankui/1"
    assert again.reports == {}
    assert json.loads((tmp_path / "out" / "published.json").read_text(encoding="utf-8"))["version"] == "fankui/1"


def test_a_training_needs_rows() -> None:
    with pytest.raises(UsageError) as caught:
        train(TrainConfig())
    assert caught.value.message == ("a training needs --train FILE and --dev FILE; `fankui data split` makes both")


def test_an_encoder_that_is_nowhere_is_told_before_anything_is_written(
    run_training: RunTraining, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"^--encoder nowhere/at-all is no local folder"):
        run_training("network", "network.encoder=nowhere/at-all")
    assert not (tmp_path / "out" / "bundle").exists()
