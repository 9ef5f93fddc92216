"""Rows as the network trains on them: tokenised once, with gold columns beside, served in batches of like length."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.batching import pad
from models.tokenization import FeedbackTokenizer
from pipeline.feedback import Example
from pipeline.schema import LabelSchema
from training.columns import UNLABELED, Labels, gold_columns

# Batches are cut out of this many shuffled ones, sorted by length: like lengths together, other company every epoch.
_POOL = 32
_CHUNK = 10_000  # rows tokenised at a time


@dataclass(frozen=True)
class TokenRows:
    """n rows in one flat array: 49 tokens a comment and 4 bytes a token, so a million rows take 200 MB."""

    tokens: NDArray[np.int32]  # (all tokens,)
    starts: NDArray[np.int64]  # (n + 1,)
    gold: Mapping[str, Labels]  # tasks that at least one row is labelled for
    clipped: int  # rows longer than the network takes, which lost their ends

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) tokens of each row."""
        return np.diff(self.starts)

    def row(self, i: int) -> NDArray[np.int32]:
        return self.tokens[self.starts[i] : self.starts[i + 1]]


@dataclass(frozen=True)
class Batch:
    """One step's tensors: ids and mask (n, length) int64, targets by task as training.columns codes."""

    ids: Tensor
    mask: Tensor
    targets: Mapping[str, Tensor]

    def to(self, device: torch.device) -> "Batch":
        targets = {name: column.to(device) for name, column in self.targets.items()}
        return Batch(self.ids.to(device), self.mask.to(device), targets)


def tokenize_rows(
    texts: Sequence[str], examples: Sequence[Example], *, schema: LabelSchema, tokenizer: FeedbackTokenizer
) -> TokenRows:
    """`texts` are the examples' prepared texts, in their order."""
    pieces, lengths = [], [0]
    clipped = 0
    for start in range(0, len(texts), _CHUNK):
        chunk = texts[start : start + _CHUNK]
        clipped += sum(len(tokenizer.windows(text)) > 1 for text in chunk)
        for row in tokenizer.encode(chunk):
            pieces.append(np.asarray(row, dtype=np.int32))
            lengths.append(len(row))
    tokens = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int32)
    return TokenRows(tokens, np.cumsum(lengths, dtype=np.int64), gold_columns(examples, schema), clipped)


def epoch_batches(lengths: NDArray[np.int64], *, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Row numbers of one epoch's batches, the same for the same seed and epoch, however many processes share them."""
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    pool = batch_size * _POOL
    batches: list[list[int]] = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[i : i + batch_size].tolist() for i in range(0, len(rows), batch_size)]
    return [batches[i] for i in generator.permutation(len(batches))]


def collate(rows: TokenRows, batch: Sequence[int], *, pad_id: int) -> Batch:
    """Tensors of the rows with these numbers."""
    ids, mask = pad([rows.row(i) for i in batch], pad_id)
    return Batch(torch.from_numpy(ids), torch.from_numpy(mask), targets_of(rows, batch))


def targets_of(rows: TokenRows, batch: Sequence[int]) -> dict[str, Tensor]:
    """Targets by task of the rows with these numbers."""
    index = np.asarray(batch)
    return {name: torch.from_numpy(column[index]) for name, column in rows.gold.items()}


def part_of(rows: TokenRows, batch: Sequence[int], *, rank: int, world: int, pad_id: int) -> tuple[Batch, int]:
    """One of `world` processes' share of a batch, and how many of its rows that is.

    Where a batch has fewer rows than there are processes, one without any gets a row without labels: every process
    has to take part in every step.
    """
    mine = list(batch[rank::world])
    if mine:
        return collate(rows, mine, pad_id=pad_id), len(mine)
    spare = collate(rows, batch[:1], pad_id=pad_id)
    blank = {name: torch.full_like(column, UNLABELED) for name, column in spare.targets.items()}
    return Batch(spare.ids, spare.mask, blank), 0


def iterate(rows: TokenRows, batches: Sequence[Sequence[int]], *, pad_id: int) -> Iterator[Batch]:
    """The batches one after the other."""
    for batch in batches:
        yield collate(rows, batch, pad_id=pad_id)
