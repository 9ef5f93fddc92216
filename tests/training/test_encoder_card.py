"""The card of an encoder speaks of the texts that it has read, and of no others."""

from dataclasses import asdict
from typing import Any

from transformers import BertConfig

from training.corpus import Source
from training.encoder_card import encoder_card
from training.public_sets import Kind


def source(kind: Kind, *, tokens: int = 900, about: str = "") -> dict[str, Any]:
    return asdict(Source(kind, about, read=3, documents=3, tokens=tokens))


def leg(sources: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"objective": "mlm", "steps": 2, "tokens": 80, "seconds": 3.0, "device": "cpu", "learning_rate": 1e-3}
    return {**body, "losses": {"mlm": 5.0}, "sources": sources, **more}


def card(*legs: dict[str, Any]) -> str:
    shape = BertConfig(num_hidden_layers=1, hidden_size=64, num_attention_heads=1, vocab_size=99)
    return encoder_card(legs, shape=shape, parameters=1000, megabytes=0.1)


def test_a_corpus_of_ones_own_makes_no_claims_of_others() -> None:
    found = card(leg({"mine": source("feedback", about="questions about tea from 2025")}))
    assert "Pre-trained from nothing on customer feedback in Chinese (`mine`): 80 tokens in 0.00 hours." in found
    assert "- `mine`: questions about tea from 2025.\n" in found
    for claim in ("2011", "epidemic", "articles", "general text"):
        assert claim not in found


def test_kinds_are_told_by_their_shares() -> None:
    found = card(leg({"a": source("feedback"), "b": source("general", tokens=300), "c": source("general", tokens=0)}))
    assert "on customer feedback and general text in Chinese (2 sets, 75 % of it feedback):" in found
    assert "on general text in Chinese (`b`):" in card(leg({"b": source("general")}))


def test_the_public_posts_are_told_where_they_were_read() -> None:
    old = source("general")
    del old["about"]  # of a corpus that was built before sets had such a line
    found = card(leg({"unlabelled_weibo_checked": old, "waimai_10k": source("feedback")}))
    assert "- `unlabelled_weibo_checked`: posts of 2020, mostly on one epidemic.\n" in found
    unread = card(leg({"unlabelled_weibo_checked": source("general", tokens=0, about="x"), "a": source("feedback")}))
    assert "- `unlabelled_weibo_checked`" not in unread


def test_what_it_went_on_from_is_told() -> None:
    found = card(leg({"mine": source("feedback")}, begun_from="macbert (sha256 012345678901)"))
    assert "Pre-trained further, from the encoder macbert (sha256 012345678901), on customer feedback" in found
    assert "from nothing" not in found


def test_a_round_of_labels_alone_has_no_corpus() -> None:
    labels = leg({}, objective="labels", rows=5, labels={}, own={"files": [], "held_back": 0})
    assert "Trained further from another encoder on labelled texts: 80 tokens" in card(labels)
