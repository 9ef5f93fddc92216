"""From texts to Predictions: prepare, cut into windows, one pass of the model, pool, calibrate, decide.

`BundlePredictor` does this for every kind of model; a model itself only gives logits (`LogitModel`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.calibration import Calibration
from models.decide import decide
from models.heads import Array, probabilities, probability_width
from models.pooling import pool
from pipeline.errors import TextError
from pipeline.feedback import Prediction
from pipeline.prepare import Prepared, prepare
from pipeline.privacy import PLACEHOLDERS
from pipeline.schema import LabelSchema

OUT_OF_SCOPE = "out_of_scope"
"""Flag of a text with hardly any Chinese, or of which the model knows less than KNOWN_LEAST."""

HAN_LEAST = 0.1  # of the letters and digits; “iPhone 15 Pro 太卡” has 0.15
KNOWN_LEAST = 0.3  # of the tokens


@dataclass(frozen=True)
class Outputs:
    """What a model puts out, one row a text: logits by task, shaped as models/heads.py says, and pooled embeddings."""

    logits: Mapping[str, npt.NDArray[np.floating]]
    embeddings: npt.NDArray[np.floating] | None  # (n, width)


class LogitModel(Protocol):
    """A model that BundlePredictor can drive. All texts have gone through `prepare`."""

    def logits(self, texts: Sequence[str]) -> Outputs: ...

    def windows(self, text: str) -> list[tuple[int, int]]:
        """Spans of the text that fit into the model one at a time; together they cover it."""
        ...

    def known_fraction(self, text: str) -> float:
        """Share of the text's tokens that the model knows, 0 to 1."""
        ...


class Predictor(Protocol):
    """Anything that answers for texts."""

    schema: LabelSchema
    model_version: str

    def predict(self, texts: Sequence[str]) -> list[Prediction]: ...


@dataclass(frozen=True)
class Columns:
    """Answers for n texts as arrays, calibrated and pooled over windows."""

    probabilities: Mapping[str, Array]  # task -> (n, k), for an aspect task (n, c, 4)
    embeddings: Array | None  # (n, width)
    truncated: npt.NDArray[np.bool_]  # (n,)
    windows: npt.NDArray[np.intp]  # (n,) how many
    flags: tuple[tuple[str, ...], ...]  # n times

    def __len__(self) -> int:
        return len(self.flags)


class BundlePredictor:
    """A model with its schema and calibration."""

    def __init__(self, *, model: LogitModel, schema: LabelSchema, calibration: Calibration, model_version: str) -> None:
        self.model = model
        self.schema = schema
        self.calibration = calibration
        self.model_version = model_version

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One Prediction a text; raises TextError for the first text that cannot be read."""
        return self.decide(self.predict_columns(texts))

    def predict_each(self, texts: Sequence[object]) -> list[Prediction | TextError]:
        """As `predict`, but a bad text's error stands in its place and the others are answered."""
        prepared = self.prepare_each(texts)
        answers = iter(self.decide(self.columns([item for item in prepared if isinstance(item, Prepared)])))
        return [item if isinstance(item, TextError) else next(answers) for item in prepared]

    def predict_columns(self, texts: Sequence[str]) -> Columns:
        """Probabilities as arrays, for evaluation; raises TextError for the first text that cannot be read."""
        return self.columns([prepare(text) for text in texts])

    def embeddings(self, texts: Sequence[str]) -> Array | None:
        """(n, width), or None where the model has none."""
        return self.predict_columns(texts).embeddings

    def prepare_each(self, texts: Sequence[object]) -> list[Prepared | TextError]:
        """Every text prepared, or its error."""
        return [_prepared(text) for text in texts]

    def columns(self, prepared: Sequence[Prepared]) -> Columns:
        """Probabilities of prepared texts."""
        probs, embeddings, counts = self.score([item.text for item in prepared])
        flags = tuple((OUT_OF_SCOPE,) if self._out_of_scope(item.text) else () for item in prepared)
        truncated = np.array([item.truncated for item in prepared], dtype=np.bool_)
        return Columns(probs, embeddings, truncated, counts, flags)

    def decide(self, columns: Columns) -> list[Prediction]:
        """Labels out of probabilities, row by row."""
        return decide(
            self.schema,
            self.calibration,
            columns.probabilities,
            model_version=self.model_version,
            truncated=columns.truncated,
            windows=columns.windows,
            flags=columns.flags,
        )

    def score(self, texts: Sequence[str]) -> tuple[dict[str, Array], Array | None, npt.NDArray[np.intp]]:
        """Probabilities by task, embeddings and the number of windows of texts that are prepared already."""
        spans = [self.model.windows(text) for text in texts]
        counts = np.array([len(found) for found in spans], dtype=np.intp)
        if not len(texts):
            return {task.name: np.zeros((0, *probability_width(task))) for task in self.schema.tasks}, None, counts
        pieces = [text[start:end] for text, found in zip(texts, spans, strict=True) for start, end in found]
        outputs = self.model.logits(pieces)
        lengths = np.array([len(piece) for piece in pieces], dtype=np.float64)
        probs = {}
        for task in self.schema.tasks:
            temperature = self.calibration.task(task.name).temperature
            probs[task.name] = pool(task, probabilities(task, outputs.logits[task.name], temperature), counts, lengths)
        embeddings = None if outputs.embeddings is None else pool(None, outputs.embeddings, counts, lengths)
        return probs, embeddings, counts

    def _out_of_scope(self, text: str) -> bool:
        return han_fraction(text) < HAN_LEAST or self.model.known_fraction(text) < KNOWN_LEAST


def han_fraction(text: str) -> float:
    """Share of Han characters among letters and digits; placeholders count for nothing, a text of marks alone has 0."""
    for placeholder in PLACEHOLDERS:
        text = text.replace(placeholder, "")
    letters = [character for character in text if character.isalnum()]
    han = sum("\u3400" <= character <= "\u9fff" or "\U00020000" <= character <= "\U0003ffff" for character in letters)
    return han / len(letters) if letters else 0.0


def _prepared(text: object) -> Prepared | TextError:
    try:
        return prepare(text)
    except TextError as error:
        return error
