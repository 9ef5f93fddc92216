"""models/linear.py: our sparse scoring, and reading it back."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load, save

from models.bundle import ModelBundle, open_bundle, write_bundle
from models.linear import Block, LinearModel, grams, read_linear
from pipeline.errors import BundleError


def test_character_grams_as_scikit_learn_cuts_them() -> None:
    assert list(grams("A差  b", unit="char", ngrams=(1, 2))) == ["a", "差", " ", "b", "a差", "差 ", " b"]


def test_one_character_words_stay() -> None:
    assert list(grams("客服 态度 差", unit="word", ngrams=(1, 2))) == ["客服", "态度", "差", "客服 态度", "态度 差"]


def test_a_text_shorter_than_the_gram_has_none() -> None:
    assert list(grams("差", unit="char", ngrams=(2, 3))) == []


def test_features_are_scaled_to_length_one() -> None:
    block = Block("char", (1, 1), ("好", "慢"), np.array([1.0, 2.0], dtype=np.float32))
    rows, index, values = block.features(["好好慢？", "？", "慢"])
    expected = np.array([1 + np.log(2), 2.0])
    assert (rows.tolist(), index.tolist()) == ([0, 0, 2], [0, 1, 1])
    np.testing.assert_allclose(values, [*expected / np.linalg.norm(expected), 1.0])


@pytest.mark.parametrize("ngrams", [(1, 3), (1, 4)])
def test_many_texts_at_once_are_each_as_alone(ngrams: tuple[int, int]) -> None:
    texts = ["客服  一直不回", "", "不回，不回！", "慢", "不回"]
    terms = tuple(dict.fromkeys(gram for text in texts for gram in grams(text, unit="char", ngrams=ngrams)))
    block = Block("char", ngrams, terms, np.linspace(1, 2, len(terms), dtype=np.float32))
    rows, index, values = block.features(texts)
    for i, text in enumerate(texts):
        _, alone, weights = block.features([text])
        order, own = np.argsort(alone), np.flatnonzero(rows == i)
        mine = own[np.argsort(index[own])]
        assert index[mine].tolist() == alone[order].tolist()
        np.testing.assert_array_equal(values[mine], weights[order])


def test_a_text_of_unknown_characters_gets_the_biases(tiny_model: LinearModel) -> None:
    outputs = tiny_model.logits(["qqq", ""])
    np.testing.assert_array_equal(outputs.logits["mood"], [[0, 1, 0], [0, 1, 0]])
    assert outputs.logits["parts"].shape == (2, 2, 4)
    assert outputs.embeddings is None


def test_no_texts(tiny_model: LinearModel) -> None:
    assert tiny_model.logits([]).logits["level"].shape == (0, 2)


def test_known_fraction_leaves_out_spaces(tiny_model: LinearModel) -> None:
    assert tiny_model.known_fraction("好 慢 qq") == 0.5
    assert tiny_model.known_fraction(" ") == 1.0


def test_a_model_without_single_characters_knows_everything(tiny_model: LinearModel) -> None:
    pairs = LinearModel(
        schema=tiny_model.schema,
        blocks=[replace(tiny_model.blocks[0], ngrams=(2, 2))],
        weights=tiny_model.weights,
        biases=tiny_model.biases,
    )
    assert pairs.known_fraction("qq") == 1.0


def test_read_back_it_answers_bit_for_bit_the_same(tiny_model: LinearModel, tiny_bundle: ModelBundle) -> None:
    texts = ["快递很慢", "服务好", "着火了！", "x"]
    ours, read = tiny_model.logits(texts), read_linear(tiny_bundle).logits(texts)
    for task in tiny_model.schema.tasks:
        np.testing.assert_array_equal(ours.logits[task.name], read.logits[task.name])


def rewritten(tiny_model: LinearModel, folder: ModelBundle, change: Callable[[dict[str, bytes]], None]) -> ModelBundle:
    """A bundle whose files fit its manifest, but not each other."""
    files = dict(tiny_model.files())
    change(files)
    return write_bundle(
        folder.path.parent / "changed",
        kind="linear",
        name="tiny",
        schema=folder.schema,
        calibration=folder.calibration,
        files=files,
        metrics={},
        card="",
    )


def drop_a_term(files: dict[str, bytes]) -> None:
    files["vocabulary.json"] = json.dumps([json.loads(files["vocabulary.json"])[0][:-1]]).encode()


def drop_a_task(files: dict[str, bytes]) -> None:
    tensors = load(files["weights.safetensors"])
    del tensors["weight.level"]
    files["weights.safetensors"] = save(tensors)


def narrow_a_head(files: dict[str, bytes]) -> None:
    tensors = load(files["weights.safetensors"])
    tensors["bias.mood"] = tensors["bias.mood"][:2].copy()
    files["weights.safetensors"] = save(tensors)


def spoil_the_weights(files: dict[str, bytes]) -> None:
    files["weights.safetensors"] = b"\xff" * 64


def ask_for_syllables(files: dict[str, bytes]) -> None:
    files["config.json"] = b'{"blocks": [{"unit": "syllable", "ngrams": [1, 1]}]}'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_a_term, "ValueError: block 0: 15 terms but idf of shape (16,)"),
        (drop_a_task, "KeyError: 'weight.level'"),
        (narrow_a_head, "task 'mood' needs (16, 3) and (3,); found (16, 3) and (2,)"),
        (spoil_the_weights, "it is no safetensors file"),
        (ask_for_syllables, "ValueError: block 0: unit is char or word"),
    ],
)
def test_files_that_do_not_fit_each_other(
    tiny_model: LinearModel, tiny_bundle: ModelBundle, change: Callable[[dict[str, bytes]], None], message: str
) -> None:
    bundle = open_bundle(rewritten(tiny_model, tiny_bundle, change).path)
    with pytest.raises(BundleError) as raised:
        read_linear(bundle)
    assert raised.value.code == "bundle_unreadable"
    assert raised.value.message.endswith(f"does not hold a linear model for this schema: {message}")
