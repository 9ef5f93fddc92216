"""Which topic is which from one file to the next, and when it is a new one."""

import json
from pathlib import Path

from pipeline.insights.topic_identity import TopicMemory, TopicProfile, assign_ids, read_memory, write_memory


def profile(**weights: float) -> TopicProfile:
    length = sum(weight**2 for weight in weights.values()) ** 0.5
    words = {word: weight / length for word, weight in weights.items()}
    return TopicProfile("", "", words, words)


def test_what_drifts_from_one_matter_to_another_gets_a_new_id() -> None:
    memory = TopicMemory()
    given, new = [], []
    # Each is like the one before it (a cosine of 0.8 and more), the last not at all like the first.
    for words in ({"送": 1.0}, {"送": 1.0, "付": 0.7}, {"送": 0.5, "付": 1.0}, {"付": 1.0, "奶": 0.3}, {"奶": 1.0}):
        ids, memory, is_new = assign_ids([profile(**words)], memory)
        given += ids
        new += is_new
    assert given == ["T001", "T001", "T002", "T002", "T003"]
    assert new == [True, False, True, False, True]


def test_a_file_without_first_forms_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "topics.json"
    _, memory, _ = assign_ids([profile(送=1.0, 慢=0.5)], TopicMemory())
    write_memory(path, memory)
    body = json.loads(path.read_text(encoding="utf-8"))
    for topic in body["topics"]:
        del topic["first"]
    path.write_text(json.dumps(body), encoding="utf-8")
    assert read_memory(path) == memory
