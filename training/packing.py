"""From the corpus on disk to batches: documents in random order, packed into full rows, whole words masked.

Rows are full: a document that does not fit goes on in the next row, at the positions that it has in the document, so
that positions beyond a row's length are trained too. Documents in one row do not see each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.corpus import CONTINUES, KINDS, Tokens, read_manifest

_CONTINUES = int(CONTINUES)
_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Rows:
    """Packed rows, each field (n, length)."""

    ids: Tensor  # int64
    positions: Tensor  # int64, within the document
    segments: Tensor  # int64, number of the document
    starts: Tensor  # bool: the token begins a word


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's rows as tensors (n, length), and which tokens are to be guessed."""

    ids: Tensor  # int64, as they are
    positions: Tensor  # int64
    segments: Tensor  # int64
    ordinary: Tensor  # bool: not a special token
    chosen: Tensor  # bool: tokens to be guessed, whole words at a time
    picked: Tensor  # (k,) int64: where those are in the rows laid end to end, in no order

    def part(self, number: int, of: int) -> "Batch":
        """Every `of`-th row, from row `number` on."""
        if of == 1:
            return self
        ids, positions, segments, ordinary, chosen = (getattr(self, name)[number::of] for name in self.__slots__[:-1])
        return Batch(ids, positions, segments, ordinary, chosen, chosen.flatten().nonzero().squeeze(-1))

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
    corpus: Corpus,
    *,
    rows: int,
    length: int,
    feedback: float,
    mask: float,
    specials: int,
    seed: int,
    device: torch.device = _CPU,
) -> Iterator[Batch]:
    """Batches without end, made on `device`; the same seed and kind of device give the same ones.

    `feedback` is the share of rows with feedback, which so is met more often than general text. `mask` is the share
    of tokens to be guessed. Tokens below `specials` are never guessed.
    """
    share = {"feedback": round(rows * feedback), "general": rows - round(rows * feedback)}
    # A corpus may hold one kind only; the other takes its rows.
    missing = [kind for kind in KINDS if not corpus.tokens[kind]]
    for kind in missing:
        other = next(one for one in KINDS if one != kind)
        share[other] += share.pop(kind)
    streams = [
        packed(corpus, kind, rows=count, length=length, seed=seed, device=device)
        for kind, count in share.items()
        if count
    ]
    random = _generator(device, seed, 2)
    for parts in zip(*streams, strict=True):
        ids, positions, segments, starts = (
            torch.cat([getattr(part, name) for part in parts]) for name in Rows.__slots__
        )
        ordinary = ids >= specials
        picked = choose_words(starts, ordinary, share=mask, random=random)
        chosen = torch.zeros(ids.numel(), dtype=torch.bool, device=device).index_fill_(0, picked, True).view_as(ids)
        yield Batch(ids, positions, segments, ordinary, chosen, picked)


def packed(
    corpus: Corpus, kind: str, *, rows: int, length: int, seed: int, device: torch.device = _CPU
) -> Iterator[Rows]:
    """Packed rows of one kind of text, epoch after epoch, `rows` at a time."""
    random = _generator(device, seed, KINDS.index(kind))
    order = np.random.default_rng([seed, KINDS.index(kind)])
    files = corpus.shards[kind]
    rest = tuple(torch.empty(0, dtype=torch.int64, device=device) for _ in range(4))
    size = rows * length
    while True:
        for number in order.permutation(len(files)):
            tokens = torch.from_numpy(np.asarray(corpus.load(files[number])).astype(np.int64)).to(device)
            whole = tuple(torch.cat(pair) for pair in zip(rest, _shuffled(tokens, random), strict=True))
            usable = len(whole[0]) // size * size
            for at in range(0, usable, size):
                ids, positions, segments, starts = (part[at : at + size].view(rows, length) for part in whole)
                yield Rows(ids, positions, segments, starts.bool())
            rest = tuple(part[usable:] for part in whole)


def choose_words(starts: Tensor, ordinary: Tensor, *, share: float, random: torch.Generator) -> Tensor:
    """(k,) int64: where in the rows laid end to end are the tokens to be guessed, by words drawn at random.

    Always `share` of all tokens, so that every step has the same shapes, which a compiled one needs; the last word
    drawn may lose its end for it.
    """
    words = (starts | ~ordinary).flatten().cumsum(0)
    drawn = torch.rand(len(words) + 1, generator=random, device=words.device)[words]
    drawn.masked_fill_(~ordinary.flatten(), 2.0)
    return drawn.topk(round(share * len(words)), largest=False, sorted=False).indices


def _shuffled(tokens: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The shard's documents in random order: ids, positions, segments, starts, each one long row of int64."""
    # Every document opens with the same token, [CLS], which occurs nowhere else.
    begins = (tokens == tokens[0]).nonzero().squeeze(-1)
    lengths = torch.diff(begins, append=begins.new_tensor([len(tokens)]))
    order = torch.randperm(len(begins), generator=random, device=tokens.device)
    begins, lengths = begins[order], lengths[order]
    before = lengths.cumsum(0) - lengths
    positions = torch.arange(len(tokens), device=tokens.device) - before.repeat_interleave(lengths)
    mixed = tokens[begins.repeat_interleave(lengths) + positions]
    segments = torch.arange(len(begins), device=tokens.device).repeat_interleave(lengths)
    continues = mixed & _CONTINUES
    return mixed - continues, positions, segments, (continues == 0).long()


def _generator(device: torch.device, *seeds: int) -> torch.Generator:
    state = int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator(device).manual_seed(state)
