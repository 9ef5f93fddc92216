"""The corpus: what is read, what is held back, and what is on disk."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.tokenization import SPECIALS, read_tokenizer
from pipeline.annotations import annotation_key
from pipeline.errors import DataError
from training import leakage
from training.corpus import CONTINUES, MANIFEST, CorpusSettings, build_corpus, read_manifest
from training.corpus_source import file_digest
from training.progress import Silent
from training.public_sets import PublicSet
from training.vocabulary import VocabularySettings

SMALL = VocabularySettings(latin=0, min_count=1, words=False)


class Heard(Silent):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def say(self, message: str) -> None:
        self.messages.append(message)


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


def test_a_labelled_dev_text_is_held_back_by_its_key_alone(
    public_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "dev.jsonl"
    line = {"key": annotation_key("额度为什么降了？"), "id": "x", "source": "atec", "draw": "random"}
    keys.write_text(json.dumps(line) + "\n", encoding="utf-8")
    monkeypatch.setattr(leakage, "labeled_dev", lambda: keys)
    folder, heard = tmp_path / "corpus", Heard()
    build_corpus(public_data, folder, tokenizer=None, settings=CorpusSettings(), vocabulary=SMALL, progress=heard)
    pairs = read_manifest(folder)["sources"]["atec_pairs"]
    assert (pairs["same"], pairs["documents"]) == (1, 3)
    assert heard.messages[0] == (
        "2 texts of dev and the evaluation splits are guarded, and 1 labelled dev texts by their keys"
    )


def test_a_set_that_no_table_names_is_told_and_read_by_a_table_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "datasets" / "mine" / "train.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"text": [f"第{i}杯茶凉了" for i in range(9)]}), path)
    options = {"tokenizer": None, "settings": CorpusSettings(), "vocabulary": SMALL}
    heard = Heard()
    with pytest.raises(DataError) as caught:
        build_corpus(tmp_path, tmp_path / "corpus", progress=heard, **options)
    do = "name them in a table of your own, in the form of data/public_sets.toml, with --sets FILE.toml"
    assert heard.messages[0] == f"not read, since no table names them: mine ({do})"
    assert caught.value.message == (
        f"{tmp_path}: expected texts to pre-train on; found none that may be used; mine is there, but in no table of "
        f"sets: {do}"
    )
    own = (PublicSet("mine", "feedback", ("train",), about="about tea"),)
    build_corpus(tmp_path, tmp_path / "corpus", progress=Silent(), table=own, **options)
    source = read_manifest(tmp_path / "corpus")["sources"]["mine"]
    assert (source["documents"], source["about"]) == (9, "about tea")


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
