from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from pipeline.feedback import Example, Feedback
from pipeline.schema import LabelSchema
from pipeline.stats import label_names, percentiles, stats


def test_every_label_is_counted_also_those_that_never_occur(examples: list[Example], schema: LabelSchema) -> None:
    found = stats(examples, schema)
    assert found.rows == 24
    assert found.labels["sentiment"] == {"negative": 11, "neutral": 5, "positive": 8}
    assert list(found.labels["category"]) == list(schema.task("category").keys)
    assert found.labels["aspects"]["logistics:-1"] == 2
    assert "price:-1" not in found.labels["aspects"]
    assert found.labelled == {"sentiment": 24, "category": 24, "aspects": 24, "urgency": 24}


def test_unlabelled_rows_and_sources_are_counted(make_example: Callable[..., Example], schema: LabelSchema) -> None:
    when = datetime(2024, 5, 1, tzinfo=UTC)
    told = Example(Feedback("很快", channel="热线", created_at=when), labels={"urgency": "low"}, source="a")
    found = stats([told, make_example("很慢", source="b"), replace(told, source="b")], schema)
    assert found.labelled == {"sentiment": 0, "category": 0, "aspects": 0, "urgency": 2}
    assert (found.sources, found.channels) == ({"b": 2, "a": 1}, {"热线": 2})
    assert (found.first, found.last) == ("2024-05-01T00:00:00+00:00", "2024-05-01T00:00:00+00:00")
    assert found.to_dict()["lengths"]["p50"] == 2


def test_times_with_and_without_a_zone_are_counted_together(schema: LabelSchema) -> None:
    times = [datetime(2024, 5, 2), datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 3, tzinfo=UTC)]
    found = stats([Example(Feedback("很快", created_at=time), labels={}) for time in times], schema)
    assert (found.first, found.last) == ("2024-05-01T00:00:00+00:00", "2024-05-03T00:00:00+00:00")


def test_labels_have_one_name_each() -> None:
    assert label_names("low") == ["low"]
    assert label_names(("a", "b")) == ["a", "b"]
    assert label_names({"price": 0, "product": 1}) == ["price:0", "product:+1"]


def test_percentiles_are_values_that_occur() -> None:
    assert percentiles(list(range(1, 101))) == {1: 1, 25: 25, 50: 50, 75: 75, 95: 95, 99: 99, 100: 100}
    assert set(percentiles([7]).values()) == {7}
    assert percentiles([]) == {}
