"""The linear model: TF-IDF of character n-grams (and, if asked, of words) times one weight matrix for all tasks.

Scored by the few lines of sparse numpy below, equal to scikit-learn's TfidfVectorizer and LogisticRegression
within 1e-6, so that scoring needs no scikit-learn. Fitted by training/baseline.py.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.bundle import ModelBundle
from models.char_ngrams import CharVocabulary, Index
from models.heads import Array, head_width
from models.predictor import Outputs
from pipeline.errors import BundleError
from pipeline.schema import LabelSchema
from pipeline.segment import words

_SPACES = re.compile(r"\s\s+")  # as scikit-learn's character analyzer


@dataclass(frozen=True)
class Block:
    """One family of n-grams: characters over the whole text, or words as jieba cuts them (one-character words stay)."""

    unit: Literal["char", "word"]
    ngrams: tuple[int, int]  # shortest and longest
    terms: tuple[str, ...]  # the position is the feature's index; words of one n-gram are joined by a space
    idf: npt.NDArray[np.float32]  # (terms,)
    index: Mapping[str, int] = field(init=False, repr=False, compare=False)
    _vocabulary: CharVocabulary | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {term: i for i, term in enumerate(self.terms)})
        characters = CharVocabulary.of(self.terms, self.ngrams) if self.unit == "char" else None
        object.__setattr__(self, "_vocabulary", characters)

    def features(self, texts: Sequence[str]) -> tuple[Index, Index, Array]:
        """Rows, indices and weights of the known n-grams of all texts, by rows.

        A weight is (1 + ln count) * idf; those of a text are scaled to length 1.
        """
        rows, index, counts = self._count(texts)
        values = (1.0 + np.log(counts)) * self.idf[index].astype(np.float64)
        lengths = np.sqrt(np.bincount(rows, weights=values * values, minlength=len(texts)))
        return rows, index, values / lengths[rows]

    def _count(self, texts: Sequence[str]) -> tuple[Index, Index, Index]:
        if self._vocabulary is not None:
            return self._vocabulary.count([_spelled(text) for text in texts])
        found = [
            (row, i, count)
            for row, text in enumerate(texts)
            for gram, count in Counter(grams(text, unit=self.unit, ngrams=self.ngrams)).items()
            if (i := self.index.get(gram)) is not None
        ]
        rows, index, counts = np.array(found, dtype=np.intp).reshape(-1, 3).T
        return rows, index, counts


def grams(text: str, *, unit: str, ngrams: tuple[int, int]) -> Iterator[str]:
    """All n-grams of a text, repeated as often as they occur."""
    lower = _spelled(text)
    if unit == "char":
        for size in range(ngrams[0], ngrams[1] + 1):
            for start in range(len(lower) - size + 1):
                yield lower[start : start + size]
        return
    tokens = [token for start, end in words(lower) if (token := lower[start:end].strip())]
    for size in range(ngrams[0], ngrams[1] + 1):
        for start in range(len(tokens) - size + 1):
            yield " ".join(tokens[start : start + size])


def _spelled(text: str) -> str:
    return _SPACES.sub(" ", text.lower())


class LinearModel:
    """Weights over the n-grams of all blocks, one column per logit of every task."""

    def __init__(
        self,
        *,
        schema: LabelSchema,
        blocks: Sequence[Block],
        weights: Mapping[str, npt.NDArray[np.floating]],
        biases: Mapping[str, npt.NDArray[np.float32]],
    ) -> None:
        """`weights[task]`: (all terms, product of head_width(task)), in single or half precision;
        `biases[task]`: (product of head_width(task),)."""
        self.schema = schema
        self.blocks = tuple(blocks)
        self.weights = dict(weights)
        self.biases = dict(biases)
        # In float32: picking rows out of half precision would convert them every time, at twice the cost.
        self._matrix = np.hstack([self.weights[task.name].astype(np.float32) for task in schema.tasks])
        self._bias = np.concatenate([self.biases[task.name] for task in schema.tasks]).astype(np.float64)
        chars = [block.index for block in blocks if block.unit == "char" and block.ngrams[0] == 1]
        self._characters = chars[0] if chars else None

    def logits(self, texts: Sequence[str]) -> Outputs:
        """Rows of every task's logits, in the order of `texts`."""
        rows = np.tile(self._bias, (len(texts), 1))
        start = 0
        for block in self.blocks:
            row, index, values = block.features(texts)
            ends = np.searchsorted(row, np.arange(len(texts) + 1))
            for i in np.flatnonzero(np.diff(ends)):
                part = slice(ends[i], ends[i + 1])
                # Summed in float64: with 5,000 n-grams float32 sums leave the 1e-6 that scikit-learn's equality allows.
                rows[i] += values[part] @ self._matrix[index[part] + start].astype(np.float64)
            start += len(block.terms)
        return Outputs(self._split(rows), None)

    def windows(self, text: str) -> list[tuple[int, int]]:
        """Always the whole text: a bag of n-grams has no length limit."""
        return [(0, len(text))]

    def known_fraction(self, text: str) -> float:
        """Share of the characters, spaces aside, that were seen in training; 1.0 where the model has no single ones."""
        characters = [character for character in text.lower() if not character.isspace()]
        if self._characters is None or not characters:
            return 1.0
        return sum(character in self._characters for character in characters) / len(characters)

    def halved(self) -> "LinearModel":
        """The same model with its weights rounded to half precision, in which `files` then keeps them."""
        weights = {name: matrix.astype(np.float16) for name, matrix in self.weights.items()}
        return LinearModel(schema=self.schema, blocks=self.blocks, weights=weights, biases=self.biases)

    def files(self) -> dict[str, bytes]:
        """The bundle's files that hold this model: config.json, vocabulary.json, weights.safetensors."""
        blocks = [{"unit": block.unit, "ngrams": list(block.ngrams)} for block in self.blocks]
        tensors = {f"idf.{i}": block.idf for i, block in enumerate(self.blocks)}
        tensors |= {f"weight.{name}": np.ascontiguousarray(matrix) for name, matrix in self.weights.items()}
        tensors |= {f"bias.{name}": vector for name, vector in self.biases.items()}
        return {
            "config.json": _dump({"blocks": blocks}),
            "vocabulary.json": _dump([list(block.terms) for block in self.blocks]),
            "weights.safetensors": save(tensors),
        }

    def _split(self, rows: Array) -> dict[str, Array]:
        outputs: dict[str, Array] = {}
        start = 0
        for task in self.schema.tasks:
            width = len(self.biases[task.name])
            outputs[task.name] = rows[:, start : start + width].reshape(len(rows), *head_width(task))
            start += width
        return outputs


def read_linear(bundle: ModelBundle) -> LinearModel:
    """The linear model of an opened bundle. Raises BundleError where its files do not fit each other."""
    try:
        tensors = load(bundle.read("weights.safetensors"))
    except SafetensorError:
        raise _unfit(bundle, "weights.safetensors", "it is no safetensors file") from None
    try:
        blocks = _blocks(bundle.json("config.json"), bundle.json("vocabulary.json"), tensors)
        weights = {task.name: tensors[f"weight.{task.name}"] for task in bundle.schema.tasks}
        biases = {task.name: tensors[f"bias.{task.name}"] for task in bundle.schema.tasks}
    except (KeyError, TypeError, ValueError) as error:
        raise _unfit(bundle, "config.json", f"{type(error).__name__}: {error}") from None
    terms = sum(len(block.terms) for block in blocks)
    for task in bundle.schema.tasks:
        width = int(np.prod(head_width(task)))
        if weights[task.name].shape != (terms, width) or biases[task.name].shape != (width,):
            found = f"{weights[task.name].shape} and {biases[task.name].shape}"
            raise _unfit(
                bundle,
                "weights.safetensors",
                f"task {task.name!r} needs {(terms, width)} and {(width,)}; found {found}",
            )
    return LinearModel(schema=bundle.schema, blocks=blocks, weights=weights, biases=biases)


def _blocks(config: Any, vocabulary: Any, tensors: Mapping[str, npt.NDArray[Any]]) -> list[Block]:
    blocks = []
    for i, (entry, terms) in enumerate(zip(config["blocks"], vocabulary, strict=True)):
        if entry["unit"] not in ("char", "word"):
            raise ValueError(f"block {i}: unit is char or word")
        low, high = (int(size) for size in entry["ngrams"])
        idf = tensors[f"idf.{i}"]
        if idf.shape != (len(terms),):
            raise ValueError(f"block {i}: {len(terms)} terms but idf of shape {idf.shape}")
        blocks.append(Block(entry["unit"], (low, high), tuple(str(term) for term in terms), idf))
    return blocks


def _unfit(bundle: ModelBundle, file: str, why: str) -> BundleError:
    return BundleError("bundle_unreadable", f"{bundle.path / file} does not hold a linear model for this schema: {why}")


def _dump(data: Any) -> bytes:
    return (json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n").encode()
