"""models/answer_cache.py: what is kept, for how long, and under which key."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models.answer_cache import AnswerCache, prepared_key, raw_key
from pipeline.prepare import Prepared, prepare, prepare_whole

DTYPE = np.dtype([("label", np.int16), ("p", np.float32, (2,))])


def records(*labels: int) -> np.ndarray:
    found = np.zeros(len(labels), dtype=DTYPE)
    found["label"] = labels
    return found


def found(cache: AnswerCache, *keys: bytes) -> dict[int, int]:
    positions, answers = cache.find(keys)
    return dict(zip(positions.tolist(), answers["label"].tolist(), strict=True))


def test_what_was_kept_is_found_and_counted() -> None:
    cache = AnswerCache(DTYPE)
    cache.keep([b"a", b"b"], records(1, 2))
    assert found(cache, b"b", b"x", b"a") == {0: 2, 2: 1}
    assert (cache.hits, cache.misses, len(cache)) == (2, 1, 2)


def test_the_least_recently_used_goes_first() -> None:
    cache = AnswerCache(DTYPE, entries=2)
    cache.keep([b"a", b"b"], records(1, 2))
    assert found(cache, b"a") == {0: 1}
    cache.keep([b"c"], records(3))
    assert found(cache, b"a", b"b", b"c") == {0: 1, 2: 3}
    assert len(cache) == 2


def test_it_grows_to_its_bound_and_no_further() -> None:
    cache = AnswerCache(DTYPE, entries=3000)
    keys = [raw_key(str(i)) for i in range(5000)]
    for start in range(0, 5000, 700):
        part = keys[start : start + 700]
        cache.keep(part, records(*range(start, start + len(part))))
    assert found(cache, *keys) == {i: i for i in range(2000, 5000)}


def test_a_key_that_comes_again_is_replaced() -> None:
    cache = AnswerCache(DTYPE)
    cache.keep([b"a"], records(1))
    cache.keep([b"a"], records(2))
    assert (found(cache, b"a"), len(cache)) == ({0: 2}, 1)


def test_what_a_raw_text_became_is_remembered_and_bounded() -> None:
    cache = AnswerCache(DTYPE, entries=2)
    for name in (b"1", b"2", b"3"):
        cache.remember(name, b"p" + name)
    assert cache.prepared_keys([b"1", b"2", b"3"]) == [None, b"p2", b"p3"]


@pytest.mark.parametrize("other", ["好评!", "好評！", " 好评！ "])
def test_spellings_of_one_text_have_one_key(other: str) -> None:
    assert prepared_key(prepare(other)) == prepared_key(prepare("好评！"))
    assert raw_key(other) != raw_key("好评！")


def test_a_text_that_was_cut_is_another() -> None:
    assert prepared_key(Prepared("好", False, (), ())) != prepared_key(Prepared("好", True, (), ()))


def test_any_text_has_a_key() -> None:
    assert len(raw_key("\ud800")) == 16


def test_threads_share_it() -> None:
    cache = AnswerCache(DTYPE, entries=500)
    keys = [raw_key(str(i)) for i in range(1000)]

    def work(turn: int) -> bool:
        for start in range(0, 1000, 50):
            part = keys[start : start + 50]
            cache.keep(part, records(*range(start, start + 50)))
            if any(label != start + i for i, label in found(cache, *part).items()):
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(20)))
    assert len(cache) == 500


def test_another_tail_is_another_key() -> None:
    keys = {
        prepared_key(prepare_whole("".join(f"第{i}天，" for i in range(600)) + end))
        for end in ("", "着火了", "没有着火")
    }
    assert len(keys) == 3
