"""Tokens of the network: a character tokenizer built from texts, or the one of a Hugging Face encoder.

Everything runs on the `tokenizers` library alone, in training and in scoring; transformers is asked only to find
and convert the tokenizer of a named encoder.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Encoding, Tokenizer
from tokenizers.models import Unigram, WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from pipeline.errors import BundleError, ConfigError
from pipeline.privacy import PLACEHOLDERS
from pipeline.segment import windows as cut_windows

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIALS = (PAD, UNK, CLS, SEP, MASK)

_BYTES = 4  # of a character, at most


@dataclass(frozen=True)  # no slots: what is asked for every text is kept
class FeedbackTokenizer:
    """A tokenizer with the three numbers that its JSON form does not hold."""

    backend: Tokenizer
    pad_id: int
    unknown_id: int | None  # None: a byte-level vocabulary, which knows everything
    max_tokens: int  # of one input, special tokens included

    @cached_property
    def most_tokens(self) -> int:
        """The most tokens that one character can become: more than one only where bytes are tokens."""
        model = json.loads(self.backend.to_str())["model"]
        whole = model["type"] in ("WordPiece", "WordLevel") or (
            model["type"] == "Unigram" and not model.get("byte_fallback")
        )
        return 1 if whole else _BYTES

    @cached_property
    def body(self) -> int:
        """Most tokens of one input without the special ones."""
        return self.max_tokens - self.backend.num_special_tokens_to_add(is_pair=False)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids with special tokens; a text over `max_tokens` loses its end (cut it by `windows` first)."""
        rows = [encoding.ids for encoding in self.backend.encode_batch_fast(list(texts))]
        return [
            row if len(row) <= self.max_tokens else self._clipped(text).ids
            for text, row in zip(texts, rows, strict=True)
        ]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, without the special ones."""
        return [len(encoding) for encoding in self.backend.encode_batch_fast(list(texts), add_special_tokens=False)]

    def windows(self, text: str) -> list[tuple[int, int]]:
        """Spans of the text that fit one input each, cut behind clauses where possible."""
        # Lower-case, because that can be longer: İ becomes two characters. Nothing else a tokenizer does adds any.
        if len(text.lower()) * self.most_tokens <= self.body:
            return [(0, len(text))]
        return cut_windows(text, limit=self.body, costs=self.counts)

    def known_fraction(self, text: str) -> float:
        """Share of a text's tokens that the vocabulary holds; 0 for a text without tokens."""
        ids = self.backend.encode(text, add_special_tokens=False).ids
        if not ids:
            return 0.0
        return 1.0 if self.unknown_id is None else 1.0 - ids.count(self.unknown_id) / len(ids)

    def known_fractions(self, rows: Sequence[Sequence[int] | NDArray[np.integer]]) -> NDArray[np.float64]:
        """As `known_fraction`, for rows of token ids as `encode` gives them."""
        added = self.max_tokens - self.body
        sizes = np.array([len(row) - added for row in rows], dtype=np.float64)
        if self.unknown_id is None:
            return (sizes > 0).astype(np.float64)
        unknown = np.array([list(row).count(self.unknown_id) for row in rows], dtype=np.float64)
        return np.where(sizes > 0, 1.0 - unknown / np.maximum(sizes, 1.0), 0.0)

    def to_json(self) -> str:
        """The content of tokenizer.json."""
        return str(self.backend.to_str(pretty=False))

    def _clipped(self, text: str) -> Encoding:
        encoding = self.backend.encode(text, add_special_tokens=False)
        encoding.truncate(self.body)
        return self.backend.post_process(encoding)


def build_tokenizer(
    texts: Iterable[str], *, max_tokens: int, min_count: int = 2, max_size: int = 12_000
) -> FeedbackTokenizer:
    """A BERT tokenizer with one token per character, and whole Latin words and numbers where they are frequent.

    A character seen less than `min_count` times is left out, so that the unknown token is met in training too.
    """
    characters: Counter[str] = Counter()
    words: Counter[str] = Counter()
    splitter, normalizer = BertPreTokenizer(), _normalizer()
    for text in texts:
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)):
            characters.update(word)
            if len(word) > 1:
                words[word] += 1
    vocabulary = _vocabulary(characters, words, min_count=min_count, max_size=max_size)
    backend = Tokenizer(WordPiece(vocabulary, unk_token=UNK, max_input_chars_per_word=100))
    return _framed(backend, _normalizer(), max_tokens=max_tokens)


def word_tokenizer(pieces: Sequence[tuple[str, float]], *, max_tokens: int) -> FeedbackTokenizer:
    """A BERT tokenizer whose tokens are characters and whole words: of all ways to cut a text, the likeliest.

    `pieces`: token and logarithm of its probability, in the order of their ids, which follow those of SPECIALS.
    """
    lowest = min(score for _, score in pieces)
    vocabulary = [*((token, lowest) for token in SPECIALS), *pieces]
    backend = Tokenizer(Unigram(vocabulary, unk_id=SPECIALS.index(UNK), byte_fallback=False))
    # Chinese text has no spaces: only so a word of several characters is ever seen as one.
    normalizer = BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=True)
    return _framed(backend, normalizer, max_tokens=max_tokens)


def load_tokenizer(name: str, *, revision: str | None = None, max_tokens: int) -> FeedbackTokenizer:
    """The fast tokenizer of a Hugging Face encoder, from a local folder or the hub.

    Raises ConfigError `tokenizer_unusable` where there is none, or none with a padding token.
    """
    from transformers import AutoTokenizer

    try:
        found = AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=False, use_fast=True)
    except (OSError, ValueError, KeyError) as error:
        raise _unusable(name, str(error).strip().partition("\n")[0]) from error
    backend = getattr(found, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise _unusable(name, "it has no fast form (tokenizer.json)")
    if found.pad_token_id is None:
        raise _unusable(name, "it has no padding token")
    return _complete(backend, pad_id=found.pad_token_id, unknown_id=found.unk_token_id, max_tokens=max_tokens)


def read_tokenizer(text: str, *, pad_id: int, unknown_id: int | None, max_tokens: int) -> FeedbackTokenizer:
    """A tokenizer out of a bundle; BundleError `tokenizer_invalid` where it cannot be built."""
    try:
        backend = Tokenizer.from_str(text)
    except Exception as error:  # the library raises bare Exception
        raise BundleError("tokenizer_invalid", f"tokenizer.json cannot be read: {error}") from error
    return FeedbackTokenizer(backend, pad_id=pad_id, unknown_id=unknown_id, max_tokens=max_tokens)


def _framed(backend: Tokenizer, normalizer: BertNormalizer, *, max_tokens: int) -> FeedbackTokenizer:
    """BERT's frame around a model of pieces: split at spaces and punctuation, `[CLS]` before and `[SEP]` behind."""
    backend.normalizer = normalizer
    backend.pre_tokenizer = BertPreTokenizer()
    numbers = backend.get_vocab()
    specials = [(token, numbers[token]) for token in (CLS, SEP)]
    backend.post_processor = TemplateProcessing(single=f"{CLS} $A {SEP}", special_tokens=specials)
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIALS])
    return _complete(backend, pad_id=numbers[PAD], unknown_id=numbers[UNK], max_tokens=max_tokens)


def _complete(backend: Tokenizer, *, pad_id: int, unknown_id: int | None, max_tokens: int) -> FeedbackTokenizer:
    # Not special: a placeholder is a word of the text, to be kept when tokens are turned back into text.
    backend.add_tokens([AddedToken(token, special=False, normalized=False) for token in PLACEHOLDERS])
    backend.no_padding()
    backend.no_truncation()
    return FeedbackTokenizer(backend, pad_id=pad_id, unknown_id=unknown_id, max_tokens=max_tokens)


def _normalizer() -> BertNormalizer:
    return BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=True)


def _vocabulary(characters: Counter[str], words: Counter[str], *, min_count: int, max_size: int) -> dict[str, int]:
    """Specials, then single characters, then their continuations inside words, then words: most frequent first."""
    alone = _frequent(characters, min_count)
    # Only what BERT's splitter leaves inside a word is continued: every Chinese character stands alone.
    inside = {character for word in words for character in word}
    continued = [f"##{character}" for character in alone if character in inside]
    tokens = [*SPECIALS, *alone, *continued, *_frequent(words, max(5, min_count))]
    return {token: i for i, token in enumerate(dict.fromkeys(tokens[:max_size]))}


def _frequent(counts: Counter[str], least: int) -> list[str]:
    # Ties by code point, so that the order of the rows does not matter.
    kept = [(-count, token) for token, count in counts.items() if count >= least]
    return [token for _, token in sorted(kept)]


def _unusable(name: str, reason: str) -> ConfigError:
    return ConfigError("tokenizer_unusable", f"--encoder {name}: expected a fast tokenizer: {reason}")
