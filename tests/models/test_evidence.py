"""models/evidence.py: spans that speak for a label, in raw offsets, faithful when they are deleted."""

import numpy as np
import pytest

from models.evidence import LEAST, Evidence, explain, told
from models.predictor import BundlePredictor
from pipeline.errors import TextError


def words_for(found: list[Evidence], text: str, task: str) -> list[str]:
    return [text[one.start : one.end] for one in found if one.task == task]


def test_every_label_has_its_own_words(predictor: BundlePredictor) -> None:
    text = "服务很好，一点不贵"
    found = explain(predictor, text)
    assert words_for(found, text, "parts")[0] == "服务"
    assert "好" in words_for(found, text, "mood")[0]
    assert {one.label for one in found if one.task == "parts"} == {"staff:positive"}


def test_the_heaviest_span_of_a_label_comes_first(predictor: BundlePredictor) -> None:
    found = [one for one in explain(predictor, "快递慢，服务慢，店里一下着火") if one.task == "level"]
    assert [one.weight for one in found] == sorted((one.weight for one in found), reverse=True)
    assert all(one.weight >= LEAST for one in found)


def test_offsets_point_into_the_raw_text(predictor: BundlePredictor) -> None:
    text = "  \u200b這個快遞😊，真的太慢了！！！！！！！！"
    assert words_for(explain(predictor, text), text, "tags") == ["快遞"]


def test_deleting_the_evidence_costs_more_than_deleting_anything_else(predictor: BundlePredictor) -> None:
    """The deletion test: without its best evidence a label falls further than without random spans of that length."""
    rng = np.random.default_rng(7)
    for text in ("快递很慢，外面下雨", "这家店着火，大家快跑", "今天服务很好，下次再来", "东西太贵，包装一般"):
        base = predictor.predict([text])[0].tasks["mood"]
        best = next(one for one in explain(predictor, text) if one.task == "mood")
        length = best.end - best.start
        starts = rng.integers(0, len(text) - length + 1, size=20)
        cut = [text[: best.start] + text[best.end :], *(text[:at] + text[at + length :] for at in starts)]
        left = [found.tasks["mood"].probabilities[str(base.label)] for found in predictor.predict(cut)]
        assert left[0] < base.probability
        assert left[0] <= np.mean(left[1:])


def test_a_text_of_one_word(predictor: BundlePredictor) -> None:
    (mood,) = (one for one in explain(predictor, "慢") if one.task == "mood")
    assert (mood.start, mood.end) == (0, 1)


def test_a_text_that_says_nothing_known_has_no_evidence(predictor: BundlePredictor) -> None:
    assert explain(predictor, "？") == []
    assert explain(predictor, "天地玄黄") == []


def test_a_very_long_text_stays_within_its_clauses(predictor: BundlePredictor) -> None:
    text = "天气不错，" * 150 + "快递真慢。" + "心情不错，" * 150
    assert "快递" in words_for(explain(predictor, text), text, "tags")


def test_a_text_that_cannot_be_read(predictor: BundlePredictor) -> None:
    with pytest.raises(TextError):
        explain(predictor, "")


def test_evidence_names_its_words_and_reads_as_a_line(predictor: BundlePredictor) -> None:
    text = "  快遞慢\n，服务好"
    found = explain(predictor, text)
    assert all(one.text == text[one.start : one.end] for one in found)
    evidence = [
        Evidence("mood", "bad", 4, 7, 0.414, "慢\n，"),
        Evidence("mood", "bad", 2, 3, 0.2, "快"),
        Evidence("parts", "staff:positive", 7, 9, 0.3, "服务"),
    ]
    line = told(predictor.schema, evidence)
    assert line["shown"] == "差: 慢 +0.41, 快 +0.20; staff 正面: 服务 +0.30"
    assert line["items"][1] == {"task": "mood", "label": "bad", "start": 2, "end": 3, "weight": 0.2, "text": "快"}
    assert told(predictor.schema, []) == {"shown": "", "items": []}
