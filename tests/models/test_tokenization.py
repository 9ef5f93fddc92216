import json
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel

from models.tokenization import FeedbackTokenizer, build_tokenizer, load_tokenizer, read_tokenizer
from pipeline.errors import BundleError, ConfigError
from pipeline.privacy import PLACEHOLDERS

TEXTS = ["快递慢，快递小哥没打电话", "手机 app 很慢，打电话没人接", "app 闪退", "app 慢", "app 快", "app 卡卡卡"]


@pytest.fixture(scope="module")
def tokenizer() -> FeedbackTokenizer:
    return build_tokenizer(TEXTS, max_tokens=12)


def tokens(tokenizer: FeedbackTokenizer, text: str) -> list[str]:
    return list(tokenizer.backend.encode(text).tokens)


def test_one_token_a_character_and_frequent_words_whole(tokenizer: FeedbackTokenizer) -> None:
    assert tokens(tokenizer, "快递app慢") == ["[CLS]", "快", "递", "app", "慢", "[SEP]"]


def test_a_character_seen_once_is_unknown(tokenizer: FeedbackTokenizer) -> None:
    assert tokens(tokenizer, "小快") == ["[CLS]", "[UNK]", "快", "[SEP]"]
    assert tokenizer.known_fraction("小快快快") == 0.75
    assert tokenizer.known_fraction("垚") == 0.0
    assert tokenizer.known_fraction("") == 0.0


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_a_placeholder_is_one_known_token(tokenizer: FeedbackTokenizer, placeholder: str) -> None:
    assert tokens(tokenizer, f"打{placeholder}电") == ["[CLS]", "打", placeholder, "电", "[SEP]"]


def test_vocabulary_does_not_depend_on_the_order_of_the_rows() -> None:
    assert build_tokenizer(TEXTS[::-1], max_tokens=12).to_json() == build_tokenizer(TEXTS, max_tokens=12).to_json()


def test_a_long_text_is_cut_into_windows_that_cover_it(tokenizer: FeedbackTokenizer) -> None:
    text = "快递慢慢慢，快递快快快，" * 4
    spans = tokenizer.windows(text)
    assert len(spans) > 1
    assert "".join(text[start:end] for start, end in spans) == text
    assert max(tokenizer.counts([text[start:end] for start, end in spans])) <= tokenizer.body


def test_encode_keeps_the_limit_and_the_last_special_token(tokenizer: FeedbackTokenizer) -> None:
    (row,) = tokenizer.encode(["快" * 50])
    assert len(row) == 12
    assert row[-1] == tokenizer.backend.token_to_id("[SEP]")


def test_it_comes_back_from_json(tokenizer: FeedbackTokenizer) -> None:
    again = read_tokenizer(tokenizer.to_json(), pad_id=tokenizer.pad_id, unknown_id=tokenizer.unknown_id, max_tokens=12)
    assert again.encode(TEXTS) == tokenizer.encode(TEXTS)


def test_a_broken_file_is_told() -> None:
    with pytest.raises(BundleError, match=r"^tokenizer\.json cannot be read: "):
        read_tokenizer("{}", pad_id=0, unknown_id=1, max_tokens=12)


def write_encoder_tokenizer(folder: Path, *, padding: bool = True) -> None:
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "快": 4, "慢": 5}
    backend = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    backend.add_special_tokens([AddedToken(token, special=True) for token in list(vocabulary)[:4]])
    backend.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
    settings |= {"pad_token": "[PAD]"} if padding else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def test_an_encoders_tokenizer_learns_the_placeholders(tmp_path: Path) -> None:
    write_encoder_tokenizer(tmp_path)
    found = load_tokenizer(str(tmp_path), max_tokens=16)
    assert (found.pad_id, found.unknown_id) == (0, 1)
    assert found.backend.get_vocab_size() == 6 + len(PLACEHOLDERS)


def test_an_encoder_without_a_padding_token_is_refused(tmp_path: Path) -> None:
    write_encoder_tokenizer(tmp_path, padding=False)
    with pytest.raises(ConfigError) as caught:
        load_tokenizer(str(tmp_path), max_tokens=16)
    assert caught.value.code == "tokenizer_unusable"
    assert caught.value.message == f"--encoder {tmp_path}: expected a fast tokenizer: it has no padding token"
