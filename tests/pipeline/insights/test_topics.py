"""Topics, groups and hot issues of comments of our own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_matrix
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from pipeline.errors import DataError
from pipeline.insights.groups import find_groups
from pipeline.insights.hot_issues import hot_issues
from pipeline.insights.hotness import hotness
from pipeline.insights.linkage import Likeness, average_linkage
from pipeline.insights.table import FeedbackTable
from pipeline.insights.terms import Terms, read_terms
from pipeline.insights.topic_identity import read_memory, write_memory
from pipeline.insights.topics import find_topics
from pipeline.insights.weights import term_weights, unit_rows
from tests.pipeline.insights.comments import quiet_table, with_incident


@pytest.fixture(scope="module")
def told() -> tuple[FeedbackTable, Terms]:
    table = with_incident(quiet_table(days=20, per_day=60))
    return table, read_terms(table.texts)


def test_two_runs_are_identical(told: tuple[FeedbackTable, Terms]) -> None:
    table, terms = told
    one, other = find_topics(table, terms, count=6), find_topics(table, read_terms(table.texts), count=6)
    np.testing.assert_array_equal(one.codes, other.codes)
    assert [topic.to_dict(table) for topic in one.topics] == [topic.to_dict(table) for topic in other.topics]


def test_nine_tenths_of_the_comments_give_the_same_topics(told: tuple[FeedbackTable, Terms]) -> None:
    table, terms = told
    whole = find_topics(table, terms, count=6)
    rows = np.sort(np.random.default_rng(2).permutation(len(table))[: int(0.9 * len(table))])
    part = table.take(rows)
    again = find_topics(part, read_terms(part.texts), count=6)
    assert adjusted_rand_score(whole.codes[rows], again.codes) >= 0.7


def test_topics_keep_their_ids(told: tuple[FeedbackTable, Terms], tmp_path: Path) -> None:
    table, terms = told
    first = table.take(table.days < table.days.max() - np.timedelta64(5, "D"))
    early = find_topics(first, read_terms(first.texts), count=5)
    path = tmp_path / "topics.json"
    write_memory(path, early.memory)
    late = find_topics(table, terms, count=6, memory=read_memory(path))
    kept = [topic for topic in late.topics if not topic.new]
    assert len(kept) >= 4
    before = {topic.id: {table.ids[i] for i in topic.rows} for topic in early.topics}
    for topic in kept:
        ids = {table.ids[i] for i in topic.rows}
        overlap = {name: len(ids & rows) for name, rows in before.items()}
        assert max(overlap, key=lambda name: overlap[name]) == topic.id


def test_nine_tenths_of_the_comments_keep_the_ids(told: tuple[FeedbackTable, Terms]) -> None:
    table, terms = told
    whole = find_topics(table, terms, count=6)
    part = table.take(np.sort(np.random.default_rng(4).permutation(len(table))[: int(0.9 * len(table))]))
    again = find_topics(part, read_terms(part.texts), count=6, memory=whole.memory)
    assert {topic.id for topic in again.topics} == {topic.id for topic in whole.topics}


def test_a_file_that_holds_no_topics(tmp_path: Path) -> None:
    path = tmp_path / "topics.json"
    assert read_memory(path).topics == ()
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="is no file of topics"):
        read_memory(path)


def test_retellings_are_one_group_and_the_hottest_issue(told: tuple[FeedbackTable, Terms]) -> None:
    table, terms = told
    groups = find_groups(table, terms)
    (incident,) = [
        group for group in groups if any(table.ids[i].startswith("x") for i in group.rows) and len(group) > 3
    ]
    assert {table.ids[i] for i in incident.rows} == {f"x{i}" for i in range(12)}
    assert "火花" in "".join(phrase.text for phrase in incident.phrases)
    voted = replace(table, numbers=table.numbers | {"upvotes": np.zeros(len(table), np.float32)})
    voted.numbers["upvotes"][incident.rows] = 50
    first = hot_issues(voted, terms, groups)[0]
    assert first.group is incident
    body = first.to_dict(voted)
    assert (body["messages"], body["votes"], body["first_day"]) == (12, 600, "2025-03-22")


def test_hotness_weighs_what_is_there() -> None:
    table = quiet_table(days=20, per_day=30)
    rows = [np.arange(100), np.arange(500, 590)]
    plain = hotness(table, rows)
    assert plain[0].votes == plain[1].votes == 0.0
    votes = np.zeros(len(table), dtype=np.float32)
    votes[500:590] = 9
    liked = hotness(replace(table, numbers=table.numbers | {"votes": votes}), rows)
    assert liked[1].score > liked[0].score
    assert plain[1].growth > plain[0].growth  # the later ones


def test_average_linkage_is_scipys() -> None:
    rng = np.random.default_rng(3)
    points = unit_rows(csr_matrix(np.abs(rng.normal(size=(60, 5))).astype(np.float32) ** 3))
    likeness = np.asarray((points @ points.T).todense(), dtype=np.float64)
    for threshold in (0.5, 0.7, 0.9):
        distance = np.maximum(1 - (likeness + likeness.T) / 2, 0)
        np.fill_diagonal(distance, 0)
        wanted = fcluster(linkage(squareform(distance, checks=False), "average"), 1 - threshold, "distance")
        assert adjusted_rand_score(average_linkage(Likeness(points), threshold), wanted) == 1.0


def test_new_words_are_found_and_their_parts_still_count() -> None:
    texts = [
        f"{a}{name}{b}"
        for name in ("云栖麓", "霓裳阁")
        for a in ("在", "去", "问", "说", "住")
        for b in ("排队", "吵", "贵", "远")
    ]
    terms = read_terms([*texts, *quiet_table(days=20, per_day=60).texts])
    assert "霓裳阁" in {word.word for word in terms.new_words}
    assert {"云栖麓", "霓裳阁"} <= set(terms.names)  # the first is one word to jieba already
    assert {"贵", "吵", "远"} <= set(terms.names)  # one character says something


def test_numbers_and_placeholders_are_no_terms() -> None:
    terms = read_terms(["订单88812345678的[手机号]没人接", "订单88812345678的[手机号]没人接电话"])
    assert not any("8881" in name or "手机号" in name for name in terms.names)


def test_weights_leave_out_what_everybody_says(told: tuple[FeedbackTable, Terms]) -> None:
    _, terms = told
    weights = term_weights(terms, most_share=0.05)
    common = int(np.argmax(terms.document_counts))
    assert weights[:, common].nnz == 0 or weights[:, common].max() == 0


def test_a_place_is_a_name_of_a_place(told: tuple[FeedbackTable, Terms]) -> None:
    table, _ = told
    endings = ("真受不了", "孩子都吐了", "住户天天投诉", "什么时候修", "夏天更难闻", "路过都捂鼻子")
    texts = [f"幸福小区的污水井又冒臭水，市政府说会管，进出医院都绕路，{ending}" for ending in endings]
    changed = replace(table, attributes={}, texts=(*texts, *table.texts[len(texts) :]))
    terms = read_terms(changed.texts)
    issues = hot_issues(changed, terms, find_groups(changed, terms))
    (place,) = {issue.place for issue in issues if 0 in issue.group.rows}
    assert place == "幸福小区"


@pytest.mark.parametrize("texts", [["只有这一条"], ["👍", "😀😀", "……"]])
def test_comments_that_share_no_word_have_no_topics(texts: list[str]) -> None:
    table = quiet_table(days=1, per_day=len(texts))
    table = replace(table, texts=tuple(texts), embeddings=np.eye(len(texts), 4, dtype=np.float32))
    found = find_topics(table, read_terms(texts))
    assert found.topics == ()
    assert found.codes.tolist() == [-1] * len(texts)
