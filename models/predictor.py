"""From texts to Predictions: prepare, cut into windows, one pass of the model, pool, calibrate, decide.

`BundlePredictor` does this for every kind of model; a model itself only gives logits (`LogitModel`).
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.calibration import Calibration
from models.decide import decide
from models.heads import Array, probabilities, probability_width
from models.pooling import pool
from pipeline.errors import FeedbackError, ModelError, TextError
from pipeline.feedback import Prediction
from pipeline.prepare import Prepared, prepare
from pipeline.privacy import PLACEHOLDERS
from pipeline.schema import LabelSchema

_LOGGER = logging.getLogger("fankui.models")

OUT_OF_SCOPE = "out_of_scope"
"""Flag of a text with hardly any Chinese, or of which the model knows less than KNOWN_LEAST."""

HAN_LEAST = 0.1  # of the letters and digits; “iPhone 15 Pro 太卡” has 0.15
KNOWN_LEAST = 0.3  # of the tokens

_MARKS = re.compile(r"[\W_]+")  # all but letters and digits
_HAN = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]+")


@dataclass(frozen=True)
class Outputs:
    """What a model puts out, one row a text: logits by task, shaped as models/heads.py says, and pooled embeddings."""

    logits: Mapping[str, npt.NDArray[np.floating]]
    embeddings: npt.NDArray[np.floating] | None  # (n, width)
    known: Array | None = None  # (n,) as `known_fraction`, where the pass tells it along the way


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


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a model says of one text, and the text's embedding where the model has them."""

    text: str  # prepared
    prediction: Prediction
    embedding: Array | None  # (width,)


class BundlePredictor:
    """A model with its schema and calibration."""

    def __init__(self, *, model: LogitModel, schema: LabelSchema, calibration: Calibration, model_version: str) -> None:
        self.model = model
        self.schema = schema
        self.calibration = calibration
        self.model_version = model_version

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One Prediction a text; raises TextError for the first text that cannot be read, ModelError for NaN."""
        return [answer.prediction for answer in self._pass([prepare(text) for text in texts])]

    def predict_each(self, texts: Sequence[object]) -> list[Prediction | FeedbackError]:
        """One Prediction or error a text; never raises for a text or for the model.

        A bad text's TextError stands in its place. Where the model fails at the batch, every text goes through alone,
        so that only those at which it fails again get a ModelError `model_failed`.
        """
        return [answer.prediction if isinstance(answer, Answer) else answer for answer in self.answer_each(texts)]

    def answer_each(self, texts: Sequence[object]) -> list[Answer | FeedbackError]:
        """As `predict_each`, with the prepared texts and embeddings."""
        prepared = self.prepare_each(texts)
        answers = iter(self._answers([item for item in prepared if isinstance(item, Prepared)]))
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
        texts = [item.text for item in prepared]
        probs, embeddings, counts, known = self._forward(texts)
        shares = [self.model.known_fraction(text) for text in texts] if known is None else known.tolist()
        flags = tuple(
            (OUT_OF_SCOPE,) if share < KNOWN_LEAST or han_fraction(text) < HAN_LEAST else ()
            for text, share in zip(texts, shares, strict=True)
        )
        truncated = np.array([item.truncated for item in prepared], dtype=np.bool_)
        return Columns(probs, embeddings, truncated, counts, flags)

    def columns_each(self, prepared: Sequence[Prepared]) -> tuple[Columns, dict[int, ModelError]]:
        """Probabilities of the texts at which the model does not fail, in order, and the others' errors by position."""
        try:
            return self._checked(prepared), {}
        except Exception as error:
            _LOGGER.info("batch_failed", extra={"fields": {"error": _cause(error), "count": len(prepared)}})
        errors: dict[int, ModelError] = {}
        good = []
        for i, item in enumerate(prepared):
            found = self._alone(item)
            if isinstance(found, ModelError):
                errors[i] = found
            else:
                good.append(self._checked([item]))
        return _joined(good) if good else self.columns([]), errors

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
        return self._forward(texts)[:3]

    def _forward(
        self, texts: Sequence[str]
    ) -> tuple[dict[str, Array], Array | None, npt.NDArray[np.intp], Array | None]:
        """As `score`, and the share of each text's tokens that is known where the model tells it."""
        spans = [self.model.windows(text) for text in texts]
        counts = np.array([len(found) for found in spans], dtype=np.intp)
        if not len(texts):
            return (
                {task.name: np.zeros((0, *probability_width(task))) for task in self.schema.tasks},
                None,
                counts,
                None,
            )
        pieces = [text[start:end] for text, found in zip(texts, spans, strict=True) for start, end in found]
        outputs = self.model.logits(pieces)
        lengths = np.array([len(piece) for piece in pieces], dtype=np.float64)
        probs = {}
        for task in self.schema.tasks:
            temperature = self.calibration.task(task.name).temperature
            probs[task.name] = pool(task, probabilities(task, outputs.logits[task.name], temperature), counts, lengths)
        embeddings = None if outputs.embeddings is None else pool(None, outputs.embeddings, counts, lengths)
        known = None if outputs.known is None else pool(None, outputs.known, counts, lengths)
        return probs, embeddings, counts, known

    def _answers(self, prepared: Sequence[Prepared]) -> Sequence[Answer | ModelError]:
        """All in one pass; if that fails, one pass each, so that one bad text fails alone."""
        try:
            return self._pass(prepared)
        except Exception as error:
            _LOGGER.info("batch_failed", extra={"fields": {"error": _cause(error), "count": len(prepared)}})
        return [self._alone(item) for item in prepared]

    def _alone(self, prepared: Prepared) -> Answer | ModelError:
        try:
            return self._pass([prepared])[0]
        except Exception as error:
            return ModelError(
                "model_failed",
                "the model failed at this comment; try again, and report it if it stays so",
                cause=_cause(error),
            )

    def _pass(self, prepared: Sequence[Prepared]) -> list[Answer]:
        """One forward pass; ModelError for probabilities that are not finite, or answers that are not one a text."""
        if not prepared:
            return []
        columns = self._checked(prepared)
        predictions = self.decide(columns)
        if len(predictions) != len(prepared):
            raise ModelError(
                "model_failed",
                f"the model gave {len(predictions)} answers for {len(prepared)} texts; choose another",
                cause="CountDiffers",
            )
        embeddings = [None] * len(prepared) if columns.embeddings is None else columns.embeddings
        rows = zip(prepared, predictions, embeddings, strict=True)
        return [Answer(item.text, found, vector) for item, found, vector in rows]

    def _checked(self, prepared: Sequence[Prepared]) -> Columns:
        """Probabilities; ModelError where one is not finite, or where they are not one row a text."""
        columns = self.columns(prepared)
        counts = {len(values) for values in columns.probabilities.values()}
        if not counts <= {len(prepared)}:
            raise ModelError(
                "model_failed",
                f"the model gave {max(counts)} answers for {len(prepared)} texts; choose another",
                cause="CountDiffers",
            )
        if not all(np.isfinite(values).all() for values in columns.probabilities.values()):
            raise ModelError(
                "model_failed", "the model gave probabilities that are not finite; choose another", cause="NotFinite"
            )
        return columns


def _joined(parts: Sequence[Columns]) -> Columns:
    """One after the other."""
    embeddings = [part.embeddings for part in parts if part.embeddings is not None]
    return Columns(
        probabilities={
            name: np.concatenate([part.probabilities[name] for part in parts]) for name in parts[0].probabilities
        },
        embeddings=np.concatenate(embeddings) if embeddings else None,
        truncated=np.concatenate([part.truncated for part in parts]),
        windows=np.concatenate([part.windows for part in parts]),
        flags=tuple(flags for part in parts for flags in part.flags),
    )


def han_fraction(text: str) -> float:
    """Share of Han characters among letters and digits; placeholders count for nothing, a text of marks alone has 0."""
    for placeholder in PLACEHOLDERS:
        text = text.replace(placeholder, "")
    letters = _MARKS.sub("", text)
    return 1.0 - len(_HAN.sub("", letters)) / len(letters) if letters else 0.0


def _cause(error: Exception) -> str:
    # The message may hold the comment; the type does not.
    return error.cause if isinstance(error, ModelError) else type(error).__name__


def _prepared(text: object) -> Prepared | TextError:
    try:
        return prepare(text)
    except TextError as error:
        return error
