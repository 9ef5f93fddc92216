"""models/predictor.py: prepare, windows, pooling, calibration, flags; bad texts among good ones."""

from collections.abc import Sequence

import numpy as np
import pytest

from models.calibration import Calibration, TaskCalibration
from models.heads import head_width
from models.predictor import BundlePredictor, LogitModel, Outputs, han_fraction
from pipeline.errors import ModelError, TextError
from pipeline.schema import LabelSchema


class Windowed:
    """Windows of five characters; every logit is how often 火 stands in the window, the embedding its length."""

    def __init__(self, schema: LabelSchema) -> None:
        self.schema = schema
        self.calls: list[list[str]] = []

    def logits(self, texts: Sequence[str]) -> Outputs:
        self.calls.append(list(texts))
        fires = np.array([10.0 * text.count("火") - 5.0 for text in texts])
        logits = {task.name: np.zeros((len(texts), *head_width(task))) for task in self.schema.tasks}
        logits["level"] += fires[:, None]
        return Outputs(logits, np.array([[float(len(text))] for text in texts]))

    def windows(self, text: str) -> list[tuple[int, int]]:
        return [(start, min(start + 5, len(text))) for start in range(0, len(text), 5)]

    def known_fraction(self, text: str) -> float:
        return 0.2 if "谜" in text else 1.0


@pytest.fixture
def windowed(tiny_schema: LabelSchema) -> BundlePredictor:
    model = Windowed(tiny_schema)
    return BundlePredictor(
        model=model, schema=tiny_schema, calibration=Calibration.identity(tiny_schema), model_version="w@1"
    )


def test_a_fire_at_the_end_of_a_long_letter_is_found(windowed: BundlePredictor) -> None:
    long, short = windowed.predict(["今天天气很好啊大家都开心然后起火了", "今天天气"])
    assert (long.tasks["level"].label, long.windows) == ("top", 4)
    assert (short.tasks["level"].label, short.windows) == ("low", 1)


def test_all_windows_go_through_the_model_in_one_call(windowed: BundlePredictor) -> None:
    windowed.predict(["一二三四五六七", "八九"])
    assert windowed.model.calls == [["一二三四五", "六七", "八九"]]  # type: ignore[attr-defined]


def test_embeddings_are_pooled_by_length(windowed: BundlePredictor) -> None:
    found = windowed.embeddings(["一二三四五六七"])
    assert found is not None
    assert found.tolist() == [[pytest.approx((5 * 5 + 2 * 2) / 7)]]


def test_a_bad_text_has_its_error_and_the_others_their_answer(predictor: BundlePredictor) -> None:
    first, second, third, fourth, fifth = predictor.predict_each(["很慢", "", None, "a\0b", "很好"])
    assert first.tasks["mood"].label == "bad"  # type: ignore[union-attr]
    assert [error.code for error in (second, third, fourth) if isinstance(error, TextError)] == [
        "empty_text", "not_text", "nul_character",
    ]  # fmt: skip
    assert fifth.tasks["mood"].label == "fine"  # type: ignore[union-attr]


def test_a_batch_answers_as_its_texts_one_by_one(predictor: BundlePredictor) -> None:
    texts = ["快递很慢", "服务很好", "着火了", "贵"]
    assert predictor.predict(texts) == [predictor.predict([text])[0] for text in texts]


def test_predict_raises_for_the_first_bad_text(predictor: BundlePredictor) -> None:
    with pytest.raises(TextError) as raised:
        predictor.predict(["很好", "\ud800"])
    assert raised.value.code == "invalid_unicode"


def test_nothing_to_predict(predictor: BundlePredictor) -> None:
    assert predictor.predict([]) == []
    assert predictor.predict_each([""])[0].code == "empty_text"  # type: ignore[union-attr]
    assert len(predictor.predict_columns([])) == 0


class Sick:
    """The tiny model, but a batch with 毒 in it raises, or gives NaN; one of more than `most` texts always raises."""

    def __init__(self, well: LogitModel, *, failure: str, most: int = 1000) -> None:
        self.well = well
        self.failure = failure
        self.most = most
        self.windows = well.windows
        self.known_fraction = well.known_fraction

    def logits(self, texts: Sequence[str]) -> Outputs:
        poisoned = any("毒" in text for text in texts)
        if len(texts) > self.most or (poisoned and self.failure == "raises"):
            raise RuntimeError("the text was 毒")
        outputs = self.well.logits(texts)
        if poisoned:
            outputs.logits["mood"][-1, 0] = np.nan
        return outputs


def sick(well: BundlePredictor, failure: str, **settings: int) -> BundlePredictor:
    model = Sick(well.model, failure=failure, **settings)
    return BundlePredictor(model=model, schema=well.schema, calibration=well.calibration, model_version="sick@1")


@pytest.mark.parametrize(("failure", "cause"), [("raises", "RuntimeError"), ("nan", "NotFinite")])
def test_a_text_that_the_model_fails_at_fails_alone(predictor: BundlePredictor, failure: str, cause: str) -> None:
    first, poisoned, empty, last = sick(predictor, failure).predict_each(["很慢", "毒", "", "很好"])
    assert first.tasks["mood"].label == "bad"  # type: ignore[union-attr]
    assert last.tasks["mood"].label == "fine"  # type: ignore[union-attr]
    assert isinstance(empty, TextError)
    assert isinstance(poisoned, ModelError)
    assert (poisoned.code, poisoned.cause) == ("model_failed", cause)
    assert poisoned.message == "the model failed at this comment; try again, and report it if it stays so"


def test_a_batch_that_fails_as_a_whole_is_answered_one_by_one(predictor: BundlePredictor) -> None:
    texts = ["很慢", "很好", "着火"]
    found = sick(predictor, "raises", most=1).predict_each(texts)
    assert [answer.tasks for answer in found] == [answer.tasks for answer in predictor.predict(texts)]  # type: ignore[union-attr]


def test_predict_refuses_figures_that_are_not_finite(predictor: BundlePredictor) -> None:
    with pytest.raises(ModelError) as raised:
        sick(predictor, "nan").predict(["很好", "毒"])
    assert raised.value.message == "the model gave probabilities that are not finite; choose another"


def test_answers_carry_the_embedding(windowed: BundlePredictor) -> None:
    first, bad, last = windowed.answer_each(["一二三四五六七", "", "八九"])
    assert isinstance(bad, TextError)
    assert [answer.embedding.tolist() for answer in (first, last)] == [  # type: ignore[union-attr]
        [pytest.approx((5 * 5 + 2 * 2) / 7)], [2.0],
    ]  # fmt: skip


def test_temperature_softens(tiny_schema: LabelSchema, predictor: BundlePredictor) -> None:
    calibration = Calibration({"mood": TaskCalibration(temperature=3.0)})
    soft = BundlePredictor(model=predictor.model, schema=tiny_schema, calibration=calibration, model_version="t")
    sharp = predictor.predict(["很慢"])[0].tasks["mood"].probability
    assert 0.34 < soft.predict(["很慢"])[0].tasks["mood"].probability < sharp - 0.1


def test_traditional_script_and_full_width_are_prepared(predictor: BundlePredictor) -> None:
    plain, other = predictor.predict_columns(["快递很慢，贵", "快遞很慢，貴"]).probabilities["mood"]
    np.testing.assert_array_equal(plain, other)


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("快递很慢", ()),
        ("the courier never came", ("out_of_scope",)),
        ("!!!???", ("out_of_scope",)),
        ("666", ("out_of_scope",)),
        ("谜谜谜", ("out_of_scope",)),
        ("iPhone 15 Pro 太卡", ()),
    ],
)
def test_out_of_scope(windowed: BundlePredictor, text: str, flags: tuple[str, ...]) -> None:
    assert windowed.predict([text])[0].flags == flags


def test_placeholders_are_no_chinese() -> None:
    assert han_fraction("call [手机号] now") == 0.0
    assert han_fraction("请打[手机号]") == 1.0
    assert han_fraction("") == 0.0


def test_a_cut_text_says_so(predictor: BundlePredictor) -> None:
    found = predictor.predict_columns(["很好。" + "快递贵，服务坏" * 400, "很好"])
    assert found.truncated.tolist() == [True, False]
