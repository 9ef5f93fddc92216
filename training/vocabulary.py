"""The encoder's vocabulary: characters, the most frequent words, pieces of Latin words and numbers, and symbols.

Words are cut by jieba's dictionary and its rule (the likeliest path), on the `tokenizers` library's Unigram model: the
same cuts as `jieba.cut(HMM=False)` at millions of characters a second where jieba does 0.1 million.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE, Unigram
from tokenizers.normalizers import Lowercase
from tokenizers.trainers import BpeTrainer

from models.tokenization import SPECIALS, FeedbackTokenizer, word_tokenizer
from pipeline.segment import word_frequencies

_HAN = r"\u3400-\u9fff"
_HAN_WORD = re.compile(f"[{_HAN}]{{2,4}}")
_LATIN = re.compile(f"[^\\W_{_HAN}]+")
_LONGEST = 4  # characters of a token: longer ones are names and phrases, of which a vocabulary should not tell
_UNKNOWN = "\x00"
_BATCH = 4096


@dataclass(frozen=True, slots=True)
class VocabularySettings:
    """How many tokens of which sort."""

    size: int = 8000  # in all, placeholders apart
    characters: int = 4800  # at most; what is left goes to words
    latin: int = 400  # pieces of Latin words and numbers beyond single characters
    min_count: int = 20  # of a character; rarer ones are unknown, so that the unknown token is learnt
    words: bool = True  # False: one token per Chinese character


class WordCutter:
    """Cuts prepared texts at the borders of words."""

    def __init__(self) -> None:
        self._backend = _word_backend()

    def cut(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Spans of the words of each text, spaces left out."""
        return [encoding.offsets for encoding in self._backend.encode_batch(list(texts), add_special_tokens=False)]


def build_vocabulary(texts: Iterable[str], settings: VocabularySettings, *, max_tokens: int) -> FeedbackTokenizer:
    """The tokenizer for these prepared texts."""
    words = count_words(texts)
    latin = Counter({word: count for word, count in words.items() if _LATIN.fullmatch(word)})
    han = Counter({word: count for word, count in words.items() if word not in latin})
    characters = _frequent(_characters(words), settings.characters, settings.min_count)
    pieces = _latin_pieces(latin, settings.latin)
    room = settings.size - len(SPECIALS) - len(characters) - len(pieces)
    chosen = _words(han, room if settings.words else 0)
    counts = _usage(words, chosen) + pieces
    total = math.log(sum(counts.values()) + 1)
    tokens = list(dict.fromkeys([*characters, *pieces, *chosen]))
    return word_tokenizer([(token, math.log(counts[token] + 0.5) - total) for token in tokens], max_tokens=max_tokens)


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word occurs, lower-cased."""
    cutter = WordCutter()
    counts: Counter[str] = Counter()
    for batch in batches(texts):
        for text, spans in zip(batch, cutter.cut(batch), strict=True):
            counts.update(text[start:end].lower() for start, end in spans)
    return counts


@cache
def _word_backend() -> Tokenizer:
    # 350,000 words: takes 2 s.
    frequencies = word_frequencies()
    total = math.log(sum(frequencies.values()))
    pieces = [(_UNKNOWN, -100.0), *((word, math.log(count) - total) for word, count in frequencies.items())]
    backend = Tokenizer(Unigram(pieces, unk_id=0, byte_fallback=False))
    # Runs of Han, of other letters and digits, single symbols; spaces go.
    splitters = [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.UnicodeScripts()]
    backend.pre_tokenizer = pre_tokenizers.Sequence(splitters)
    return backend


def _characters(words: Counter[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    return counts


def _usage(words: Counter[str], chosen: Sequence[str]) -> Counter[str]:
    """How often each token is used where the chosen words are tokens and all else is spelt out."""
    whole = set(chosen)
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for token in (word,) if word in whole else word:
            counts[token] += count
    return counts


def _words(words: Counter[str], count: int) -> list[str]:
    return _frequent(Counter({w: n for w, n in words.items() if _HAN_WORD.fullmatch(w)}), max(count, 0), 1)


def _latin_pieces(words: Counter[str], count: int) -> Counter[str]:
    """Frequent pieces of 2 to 4 letters or digits by byte-pair encoding, with their counts."""
    backend = Tokenizer(BPE())
    backend.normalizer = Lowercase()
    alphabet = len({character for word in words for character in word})
    trainer = BpeTrainer(vocab_size=alphabet + count, max_token_length=_LONGEST, show_progress=False, min_frequency=20)
    frequent = [word for word, n in sorted(words.items()) for _ in range(min(n, 10_000))]
    backend.train_from_iterator(frequent, trainer)
    counts: Counter[str] = Counter()
    for word, n in words.items():
        for piece in backend.encode(word).tokens:
            if len(piece) > 1:
                counts[piece] += n
    return Counter(dict(counts.most_common(count)))


def _frequent(counts: Counter[str], most: int, least: int) -> list[str]:
    # Ties by code point, so that the order of the texts does not matter.
    kept = sorted((-count, token) for token, count in counts.items() if count >= least)
    return [token for _, token in kept[:most]]


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts in lists of a few thousand."""
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
