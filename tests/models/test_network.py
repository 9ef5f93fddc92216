"""The torch network, its ONNX graph, and that both say the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from transformers import BertConfig, BertModel, DistilBertConfig, T5Config, T5Model

from models.heads import head_width, probabilities
from models.network import (
    FeedbackClassifier,
    check_encoder_name,
    fit_vocabulary,
    load_encoder,
    longest_input,
    new_classifier,
)
from models.onnx_export import export, torch_forward
from models.onnx_model import NetworkModel, onnx_network
from models.parity import check_parity
from models.predictor import Outputs
from models.tokenization import FeedbackTokenizer, build_tokenizer
from pipeline.errors import BundleError, ConfigError, SchemaError
from pipeline.privacy import PLACEHOLDERS
from pipeline.schema import LabelSchema, schema_from_dict

NO_WEIGHTS = save({})  # a graph that holds its own

ROOT = Path(__file__).resolve().parents[2]

# Task names that a careless graph or module list would trip over, and an order that sorting would change.
AWKWARD = schema_from_dict(
    {
        "tasks": {
            "type": {"kind": "single", "labels": ["b", "a", "c"]},
            "keys": {"kind": "multi", "labels": ["x", "y"]},
            "add": {"kind": "ordinal", "labels": ["low", "mid", "high", "top"]},
            "linear": {"kind": "aspect", "labels": ["p", "q"]},
        }
    }
)


def tiny(size: int, *, positions: int = 64) -> BertConfig:
    return BertConfig(
        vocab_size=size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=positions,
    )


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [f"快递第{i}天{'没到' * (i % 9)}，客服{'不回' * (i % 4)}" for i in range(1, 60)]


@pytest.fixture(scope="module")
def tokenizer(texts: list[str]) -> FeedbackTokenizer:
    return build_tokenizer(texts, max_tokens=64)


@pytest.fixture(scope="module")
def classifier(tokenizer: FeedbackTokenizer) -> FeedbackClassifier:
    torch.manual_seed(5)
    return new_classifier(tiny(tokenizer.backend.get_vocab_size()), AWKWARD).train(False)


@pytest.fixture(scope="module")
def reference(classifier: FeedbackClassifier, tokenizer: FeedbackTokenizer) -> NetworkModel:
    return NetworkModel(tokenizer=tokenizer, forward=torch_forward(classifier), schema=AWKWARD)


@pytest.fixture(scope="module")
def graph(classifier: FeedbackClassifier) -> bytes:
    return export(classifier)


@pytest.fixture(scope="module")
def exported(graph: bytes, tokenizer: FeedbackTokenizer) -> NetworkModel:
    return onnx_network(graph, NO_WEIGHTS, tokenizer=tokenizer, schema=AWKWARD, threads=1)


def test_every_head_has_the_shape_of_its_task(classifier: FeedbackClassifier) -> None:
    ids = torch.randint(5, 20, (3, 9))
    outputs = classifier(ids, torch.ones_like(ids))
    assert {name: tuple(values.shape) for name, values in outputs.items()} == {
        **{task.name: (3, *head_width(task)) for task in AWKWARD.tasks},
        "embedding": (3, 32),
    }


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_padding_changes_nothing(tokenizer: FeedbackTokenizer, pooling: str) -> None:
    torch.manual_seed(1)
    network = new_classifier(tiny(tokenizer.backend.get_vocab_size()), AWKWARD, pooling=pooling).train(False)
    ids = torch.randint(5, 20, (1, 6))
    padded = torch.cat([ids, torch.zeros((1, 5), dtype=torch.int64)], dim=1)
    mask = torch.tensor([[1] * 6 + [0] * 5])
    with torch.no_grad():
        alone, together = network(ids, torch.ones_like(ids)), network(padded, mask)
    for name, values in alone.items():
        torch.testing.assert_close(together[name], values, atol=1e-5, rtol=0)


def test_saving_and_loading_keeps_weights_labels_and_their_order(
    classifier: FeedbackClassifier, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    classifier.save_pretrained(tmp_path)
    again = FeedbackClassifier.from_pretrained(tmp_path)
    capfd.readouterr()  # transformers' own progress bars
    assert [task.name for task in again.schema.tasks] == ["type", "keys", "add", "linear"]
    assert again.schema.digest == AWKWARD.digest
    assert list(again.config.id2label.values())[:4] == ["type.b", "type.a", "type.c", "keys.x"]
    for name, values in classifier.state_dict().items():
        assert torch.equal(again.state_dict()[name], values), name
    assert not list(tmp_path.glob("*.bin"))


def test_graph_and_torch_agree_on_500_texts(reference: NetworkModel, exported: NetworkModel, texts: list[str]) -> None:
    assert check_parity(AWKWARD, reference=reference, candidate=exported, texts=texts) < 1e-5


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (5, 33), (2, 64)])
def test_graph_takes_any_batch_and_length(
    classifier: FeedbackClassifier, exported: NetworkModel, shape: tuple[int, int]
) -> None:
    ids = np.full(shape, 7, dtype=np.int64)
    expected = torch_forward(classifier)(ids, np.ones_like(ids))
    found = exported._forward(ids, np.ones_like(ids))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5)


def test_another_graph_fails_the_parity_check(reference: NetworkModel, texts: list[str]) -> None:
    class Shifted:
        def logits(self, texts: list[str]) -> Outputs:
            found = reference.logits(texts)
            return Outputs({name: values + (name == "add") for name, values in found.logits.items()}, None)

    with pytest.raises(BundleError) as caught:
        check_parity(AWKWARD, reference=reference, candidate=Shifted(), texts=texts)  # type: ignore[arg-type]
    assert caught.value.code == "parity_failed"
    assert caught.value.message.startswith(
        "the exported graph must give the network's probabilities within 0.0001; they differ by 0."
    )


def test_not_a_number_fails_the_parity_check(reference: NetworkModel, texts: list[str]) -> None:
    class Broken:
        def logits(self, texts: list[str]) -> Outputs:
            return Outputs({name: values * np.nan for name, values in reference.logits(texts).logits.items()}, None)

    with pytest.raises(BundleError, match=r"they differ by inf on 500 texts$"):
        check_parity(AWKWARD, reference=reference, candidate=Broken(), texts=texts)  # type: ignore[arg-type]


def test_answers_come_in_the_order_of_the_texts(exported: NetworkModel, texts: list[str]) -> None:
    together = exported.logits(texts)
    for i in (0, 8, 31):
        alone = exported.logits([texts[i]])
        for task in AWKWARD.tasks:
            np.testing.assert_allclose(
                probabilities(task, together.logits[task.name][i : i + 1]),
                probabilities(task, alone.logits[task.name]),
                atol=1e-5,
            )
    assert together.embeddings is not None
    assert together.embeddings.shape == (len(texts), 32)


def test_no_text_gives_empty_arrays(exported: NetworkModel) -> None:
    found = exported.logits([])
    assert {name: values.shape for name, values in found.logits.items()} == {
        "type": (0, 3),
        "keys": (0, 2),
        "add": (0, 3),
        "linear": (0, 2, 4),
    }


def test_a_graph_of_another_schema_is_refused(graph: bytes, tokenizer: FeedbackTokenizer, schema: LabelSchema) -> None:
    with pytest.raises(BundleError, match=r"^model\.onnx: expected the outputs \['sentiment', 'category', 'aspects'"):
        onnx_network(graph, NO_WEIGHTS, tokenizer=tokenizer, schema=schema)


def test_a_broken_graph_is_refused(tokenizer: FeedbackTokenizer) -> None:
    with pytest.raises(BundleError, match=r"^the graph cannot be loaded: "):
        onnx_network(b"no graph", NO_WEIGHTS, tokenizer=tokenizer, schema=AWKWARD)


def test_a_task_cannot_be_named_like_an_input_of_the_graph() -> None:
    schema = schema_from_dict({"tasks": {"input_ids": {"kind": "single", "labels": ["a", "b"]}}})
    with pytest.raises(SchemaError) as caught:
        new_classifier(tiny(20), schema)
    assert caught.value.message == (
        "a network cannot have a task named 'input_ids'; reserved: input_ids, attention_mask, embedding"
    )


def test_an_unknown_pooling_is_told(schema: LabelSchema) -> None:
    with pytest.raises(ConfigError, match=r"^pooling is one of mean, cls; found 'max'$"):
        new_classifier(tiny(20), schema, pooling="max")


def test_roberta_has_fewer_places_than_positions() -> None:
    from transformers import RobertaConfig

    assert longest_input(RobertaConfig(max_position_embeddings=514, pad_token_id=1)) == 512
    assert longest_input(tiny(20, positions=40)) == 40


def test_an_encoder_without_a_pooler_option_works(schema: LabelSchema) -> None:
    config = DistilBertConfig(vocab_size=30, dim=32, n_layers=1, n_heads=2, hidden_dim=64, max_position_embeddings=16)
    outputs = new_classifier(config, schema)(torch.ones((2, 3), dtype=torch.int64), torch.ones((2, 3)))
    assert outputs["sentiment"].shape == (2, 3)


@pytest.fixture
def encoder_folder(tmp_path: Path, tokenizer: FeedbackTokenizer, capfd: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / "encoder"
    BertModel(tiny(tokenizer.backend.get_vocab_size() - len(PLACEHOLDERS))).to(torch.bfloat16).save_pretrained(folder)
    capfd.readouterr()
    return folder


def test_an_encoder_from_a_folder_is_float32_without_its_pooler(encoder_folder: Path) -> None:
    encoder = load_encoder(str(encoder_folder))
    assert encoder.dtype == torch.float32
    assert encoder.pooler is None


def test_placeholders_start_as_the_mean_of_their_characters(encoder_folder: Path) -> None:
    encoder = load_encoder(str(encoder_folder))
    characters = build_tokenizer([*PLACEHOLDERS, "手机号固定电话"] * 2, max_tokens=64)
    before = encoder.get_input_embeddings().num_embeddings
    fit_vocabulary(encoder, characters)
    size = characters.backend.get_vocab_size()
    weight = encoder.get_input_embeddings().weight
    assert len(weight) == max(before, size)
    number = characters.backend.token_to_id("[地址]")
    assert number >= before
    inner = characters.backend.encode("地址", add_special_tokens=False).ids
    torch.testing.assert_close(weight[number], weight[inner].mean(dim=0))


def test_what_is_no_encoder_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    config = T5Config(vocab_size=64, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    T5Model(config).save_pretrained(tmp_path)
    with pytest.raises(
        ConfigError, match="expected an encoder such as BERT, fed with token ids and a mask; t5 says"
    ) as told:
        load_encoder(str(tmp_path))
    assert told.value.code == "encoder_unusable"


def test_pickled_weights_are_refused(encoder_folder: Path) -> None:
    (encoder_folder / "model.safetensors").unlink()
    (encoder_folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ConfigError) as caught:
        load_encoder(str(encoder_folder))
    assert caught.value.code == "encoder_unreadable"


def test_code_of_others_is_not_run(encoder_folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    config = json.loads((encoder_folder / "config.json").read_text(encoding="utf-8"))
    config |= {"model_type": "theirs", "auto_map": {"AutoConfig": "theirs.Config", "AutoModel": "theirs.Model"}}
    (encoder_folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (encoder_folder / "theirs.py").write_text(f"open({str(marker)!r}, 'w')", encoding="utf-8")
    with pytest.raises(ConfigError, match="expected a Hugging Face encoder with safetensors"):
        load_encoder(str(encoder_folder))
    assert not marker.exists()


@pytest.mark.parametrize("revision", [None, "main", "abc123"])
def test_a_hub_name_needs_a_pinned_commit(revision: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        check_encoder_name("hfl/chinese-macbert-base", revision)
    assert caught.value.message == (
        "--encoder hfl/chinese-macbert-base is no local folder, so it is taken from the hub and needs --revision with "
        f"the commit's 40 hexadecimal digits; found {revision!r}"
    )


def test_a_pinned_commit_is_accepted() -> None:
    check_encoder_name("hfl/chinese-macbert-base", "a" * 40)


def test_onnxruntime_reports_to_nobody(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-B", "-c", "import models.onnx_model"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
