"""The vocabulary: which tokens, how texts are cut with them, and that transformers reads it alike."""

import pytest

from models.tokenization import PAD, SPECIALS, UNK, FeedbackTokenizer
from pipeline.privacy import PLACEHOLDERS
from training.vocabulary import VocabularySettings, WordCutter, build_vocabulary, count_words

TEXTS = [
    "客服说明天发货，结果明天又推到后天",
    "客服态度很好，发货也快",
    "用wifi连不上，客服让我重启wifi",
    "发货慢，客服不回话，我要退款",
] * 6
SMALL = VocabularySettings(size=80, characters=60, latin=3, min_count=2)


@pytest.fixture(scope="module")
def tokenizer() -> FeedbackTokenizer:
    return build_vocabulary(TEXTS, SMALL, max_tokens=32)


def tokens(tokenizer: FeedbackTokenizer, text: str) -> list[str]:
    return tokenizer.backend.encode(text, add_special_tokens=False).tokens


def test_frequent_words_are_tokens_and_others_are_spelt(tokenizer: FeedbackTokenizer) -> None:
    assert tokens(tokenizer, "客服不发货") == ["客服", "不", "发货"]
    assert tokens(tokenizer, "发话") == ["发", "话"]


def test_specials_come_first_and_placeholders_are_one_token(tokenizer: FeedbackTokenizer) -> None:
    assert [tokenizer.backend.id_to_token(i) for i in range(5)] == list(SPECIALS)
    assert "[手机号]" in tokens(tokenizer, "打[手机号]找我")
    assert tokenizer.backend.get_vocab_size() <= SMALL.size + len(PLACEHOLDERS)
    assert tokenizer.backend.encode("快").tokens == ["[CLS]", "快", "[SEP]"]


def test_unknown_characters_do_not_take_their_neighbours_along(tokenizer: FeedbackTokenizer) -> None:
    ids = tokenizer.backend.encode("发货𪚥快", add_special_tokens=False).ids
    names = [tokenizer.backend.id_to_token(i) for i in ids]
    assert names == ["发货", UNK, "快"]
    assert tokenizer.pad_id == SPECIALS.index(PAD)


def test_no_token_is_longer_than_four_characters(tokenizer: FeedbackTokenizer) -> None:
    own = set(tokenizer.backend.get_vocab()) - {*SPECIALS, *PLACEHOLDERS}
    assert max(map(len, own)) <= 4


def test_characters_only() -> None:
    plain = build_vocabulary(TEXTS, VocabularySettings(size=80, latin=0, min_count=2, words=False), max_tokens=32)
    assert tokens(plain, "客服发货") == ["客", "服", "发", "货"]


def test_order_of_texts_does_not_matter(tokenizer: FeedbackTokenizer) -> None:
    assert build_vocabulary(TEXTS[::-1], SMALL, max_tokens=32).to_json() == tokenizer.to_json()


def test_words_are_cut_by_the_dictionary() -> None:
    text = "物流 很快，iPhone15没坏"
    spans = WordCutter().cut([text])[0]
    assert [text[start:end] for start, end in spans] == ["物流", "很快", "，", "iPhone", "15", "没", "坏"]
    assert count_words(["App 很卡"])["app"] == 1
