"""From the corpus on disk to batches: documents in random order, packed into full rows, whole words masked.

Rows are full: a document that does not fit goes on in the next row, at the positions that it has in the document, so
that positions beyond a row's length are trained too. Documents in one row do not see each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.corpus import CONTINUES, KINDS, Tokens, read_manifest

_IDS = np.uint16(~CONTINUES)


@dataclass(frozen=True, slots=True)
class Rows:
    """Packed rows, each field (n, length)."""

    ids: NDArray[np.int64]
    positions: NDArray[np.int64]  # within the document
    segments: NDArray[np.int32]  # number of the document
    starts: NDArray[np.bool_]  # the token begins a word


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's rows as tensors (n, length), and which tokens are to be guessed."""

    ids: Tensor  # int64, as they are
    positions: Tensor  # int64
    segments: Tensor  # int32
    chosen: Tensor  # bool: tokens to be guessed, whole words at a time
    ordinary: Tensor  # bool: not a special token

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(getattr(self, name).to(device, non_blocking=True) for name in self.__slots__))

    def part(self, number: int, of: int) -> "Batch":
        """Every `of`-th row, from row `number` on."""
        return Batch(*(getattr(self, name)[number::of] for name in self.__slots__)) if of > 1 else self

    def attention(self) -> Tensor:
        """(n, 1, length, length) bool: which token sees which."""
        return (self.segments[:, :, None] == self.segments[:, None, :])[:, None]

    def attention_bias(self, dtype: torch.dtype) -> Tensor:
        """The same as something to add to the scores: 0, or so little that nothing is left."""
        seen = self.attention()
        return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, -1e4)


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus folder, read in shards."""

    folder: Path
    shards: dict[str, tuple[str, ...]]  # kind -> files
    tokens: dict[str, int]  # kind -> how many

    def load(self, file: str) -> Tokens:
        """A shard, mapped into memory."""
        found: Tokens = np.load(self.folder / file, mmap_mode="r", allow_pickle=False)
        return found


def open_corpus(folder: Path) -> Corpus:
    """Raises DataError `corpus_unreadable`."""
    shards = read_manifest(folder)["shards"]
    return Corpus(
        folder,
        {kind: tuple(one["file"] for one in shards if one["kind"] == kind) for kind in KINDS},
        {kind: sum(one["tokens"] for one in shards if one["kind"] == kind) for kind in KINDS},
    )


def batches(
    corpus: Corpus, *, rows: int, length: int, feedback: float, mask: float, specials: int, seed: int
) -> Iterator[Batch]:
    """Batches without end; the same seed gives the same ones.

    `feedback` is the share of rows with feedback, which so is met more often than general text. `mask` is the share
    of words to be guessed. Tokens below `specials` are never guessed.
    """
    share = {"feedback": round(rows * feedback), "general": rows - round(rows * feedback)}
    # A corpus may hold one kind only; the other takes its rows.
    missing = [kind for kind in KINDS if not corpus.tokens[kind]]
    for kind in missing:
        other = next(one for one in KINDS if one != kind)
        share[other] += share.pop(kind)
    streams = [packed(corpus, kind, rows=count, length=length, seed=seed) for kind, count in share.items() if count]
    rng = np.random.default_rng([seed, 2])
    for parts in zip(*streams, strict=True):
        whole = Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in Rows.__slots__))
        ordinary = whole.ids >= specials
        chosen = choose_words(whole.starts, ordinary, share=mask, rng=rng)
        fields = (whole.ids, whole.positions, whole.segments, chosen, ordinary)
        yield Batch(*(torch.from_numpy(np.ascontiguousarray(field)) for field in fields))


def packed(corpus: Corpus, kind: str, *, rows: int, length: int, seed: int) -> Iterator[Rows]:
    """Packed rows of one kind of text, epoch after epoch, `rows` at a time."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    files = corpus.shards[kind]
    rest: tuple[NDArray[np.int64], ...] = tuple(np.empty(0, np.int64) for _ in range(4))
    size = rows * length
    while True:
        for number in rng.permutation(len(files)):
            fresh = _shuffled(corpus.load(files[number]), rng)
            whole = tuple(np.concatenate(pair) for pair in zip(rest, fresh, strict=True))
            usable = len(whole[0]) // size * size
            for at in range(0, usable, size):
                ids, positions, segments, starts = (part[at : at + size].reshape(rows, length) for part in whole)
                yield Rows(ids, positions, segments.astype(np.int32), starts.astype(bool))
            rest = tuple(part[usable:] for part in whole)


def choose_words(
    starts: NDArray[np.bool_], ordinary: NDArray[np.bool_], *, share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """(n, length) bool: about `share` of the words, all tokens of each."""
    words = np.cumsum(starts.ravel() | ~ordinary.ravel())
    drawn = rng.random(int(words[-1]) + 1) < share
    return drawn[words].reshape(starts.shape) & ordinary


def _shuffled(tokens: Tokens, rng: np.random.Generator) -> Sequence[NDArray[np.int64]]:
    """The shard's documents in random order: ids, positions, segments, starts, each one long row of int64."""
    tokens = np.asarray(tokens)
    begins = _begins(tokens)
    lengths = np.diff(np.append(begins, len(tokens)))
    order = rng.permutation(len(begins))
    begins, lengths = begins[order], lengths[order]
    before = np.cumsum(lengths) - lengths
    positions = np.arange(len(tokens)) - np.repeat(before, lengths)
    mixed = tokens[np.repeat(begins, lengths) + positions]
    segments = np.repeat(np.arange(len(begins)), lengths)
    return (mixed & _IDS).astype(np.int64), positions, segments, (mixed & CONTINUES == 0).astype(np.int64)


def _begins(tokens: Tokens) -> NDArray[np.int64]:
    # Every document opens with the same token, [CLS], which occurs nowhere else.
    return np.flatnonzero(tokens == tokens[0])
