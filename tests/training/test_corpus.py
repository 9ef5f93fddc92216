"""The corpus: what is read, what is held back, and what is on disk."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.tokenization import SPECIALS, read_tokenizer
from pipeline.errors import DataError
from training.corpus import (
    CONTINUES,
    MANIFEST,
    CorpusSettings,
    build_corpus,
    file_digest,
    read_manifest,
)
from training.progress import Silent
from training.vocabulary import VocabularySettings

SMALL = VocabularySettings(latin=0, min_count=1, words=False)


def test_sources_tell_what_became_of_every_text(small_corpus: Path) -> None:
    sources = read_manifest(small_corpus)["sources"]
    assert list(sources) == ["chnsenticorp", "waimai_10k", "atec_pairs", "unlabelled_weibo_ced"]
    hotel, takeaway = sources["chnsenticorp"], sources["waimai_10k"]
    assert (hotel["read"], hotel["same"], hotel["documents"]) == (4, 1, 3)
    # One is dev's own, one equals another but for punctuation, one is too short; the missing value is no text.
    assert (takeaway["read"], takeaway["same"], takeaway["duplicate"], takeaway["short"]) == (5, 1, 1, 1)
    assert takeaway["documents"] == 2
    for source in sources.values():
        parts = ("unreadable", "same", "contained", "near", "duplicate", "short", "over", "documents")
        assert source["read"] == sum(source[part] for part in parts)


def test_guarded_texts_are_not_on_disk(small_corpus: Path) -> None:
    tokenizer = read_tokenizer(
        (small_corpus / "tokenizer.json").read_text(encoding="utf-8"), pad_id=0, unknown_id=1, max_tokens=512
    )
    stream = np.load(small_corpus / "feedback-000.npy", allow_pickle=False) & ~CONTINUES
    text = "".join(tokenizer.backend.id_to_token(int(token)) for token in stream)
    assert "骑手迷路了" in text
    assert "冷得睡不着" not in text
    assert text.count("[CLS]") == text.count("[SEP]") == 9


def test_continued_words_are_marked(small_corpus: Path) -> None:
    stream = np.load(small_corpus / "feedback-000.npy", allow_pickle=False)
    specials = (stream & ~CONTINUES) < len(SPECIALS)
    assert not (stream[specials] & CONTINUES).any()
    assert (stream & CONTINUES).any()


def test_manifest_holds_digests_and_counts(small_corpus: Path) -> None:
    manifest = read_manifest(small_corpus)
    for shard in manifest["shards"]:
        assert file_digest(small_corpus / shard["file"]) == shard["sha256"]
        assert len(np.load(small_corpus / shard["file"], allow_pickle=False)) == shard["tokens"]
    assert manifest["tokens"] == sum(source["tokens"] for source in manifest["sources"].values())


def test_room_goes_to_feedback_first(public_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    settings = CorpusSettings(max_tokens=60)
    build_corpus(public_data, folder, tokenizer=None, settings=settings, vocabulary=SMALL, progress=Silent())
    sources = read_manifest(folder)["sources"]
    assert sources["waimai_10k"]["documents"] == 2
    assert sources["unlabelled_weibo_ced"]["documents"] == 0
    assert sources["unlabelled_weibo_ced"]["over"] == 40


def test_same_data_same_files(small_corpus: Path, public_data: Path, tmp_path: Path) -> None:
    settings = CorpusSettings(shard_tokens=400)
    build_corpus(
        public_data, tmp_path / "again", tokenizer=None, settings=settings, vocabulary=SMALL, progress=Silent()
    )
    assert (tmp_path / "again" / MANIFEST).read_bytes() == (small_corpus / MANIFEST).read_bytes()


def test_unreadable_corpora_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a corpus with manifest\.json"):
        read_manifest(tmp_path)
    (tmp_path / MANIFEST).write_text(json.dumps({"format": 2}), encoding="utf-8")
    with pytest.raises(DataError, match="expected a corpus of format 1; found 2"):
        read_manifest(tmp_path)


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    with pytest.raises(DataError, match="found none that may be used"):
        build_corpus(
            tmp_path,
            tmp_path / "corpus",
            tokenizer=None,
            settings=CorpusSettings(),
            vocabulary=SMALL,
            progress=Silent(),
        )
