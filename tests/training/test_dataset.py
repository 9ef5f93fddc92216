from collections.abc import Callable

import numpy as np

from models.tokenization import build_tokenizer
from pipeline.feedback import Example
from pipeline.schema import LabelSchema
from training.dataset import collate, epoch_batches, part_of, tokenize_rows

LENGTHS = np.array([(13 * i) % 40 + 3 for i in range(300)])


def test_every_row_is_in_one_batch_of_an_epoch() -> None:
    batches = epoch_batches(LENGTHS, batch_size=16, seed=1, epoch=0)
    assert sorted(i for batch in batches for i in batch) == list(range(300))
    assert max(map(len, batches)) == 16


def test_batches_hold_rows_of_like_length() -> None:
    batches = epoch_batches(LENGTHS, batch_size=16, seed=1, epoch=0)
    padded = sum(len(batch) * LENGTHS[batch].max() for batch in batches)
    assert padded < 1.1 * LENGTHS.sum()


def test_the_same_seed_and_epoch_give_the_same_batches() -> None:
    first = epoch_batches(LENGTHS, batch_size=16, seed=1, epoch=3)
    assert first == epoch_batches(LENGTHS, batch_size=16, seed=1, epoch=3)
    assert first != epoch_batches(LENGTHS, batch_size=16, seed=1, epoch=4)
    assert first != epoch_batches(LENGTHS, batch_size=16, seed=2, epoch=3)


def test_processes_share_every_batch(schema: LabelSchema, make_example: Callable[..., Example]) -> None:
    texts = ["慢", "快递慢", "好", "很好"]
    examples = [make_example(text, sentiment="positive") for text in texts]
    tokenizer = build_tokenizer(texts * 2, max_tokens=16)
    rows = tokenize_rows(texts, examples, schema=schema, tokenizer=tokenizer)
    parts = [part_of(rows, [3, 0, 1], rank=rank, world=2, pad_id=tokenizer.pad_id) for rank in range(2)]
    assert [count for _, count in parts] == [2, 1]
    assert [tuple(part.ids.shape) for part, _ in parts] == [(2, 5), (1, 3)]
    spare, count = part_of(rows, [3], rank=1, world=2, pad_id=tokenizer.pad_id)
    assert (count, spare.targets["sentiment"].tolist()) == (0, [-1])


def test_rows_are_tokenized_once_and_served_with_their_gold(
    schema: LabelSchema, make_example: Callable[..., Example]
) -> None:
    examples = [
        make_example("快递慢", sentiment="negative", aspects={"logistics": -1}),
        make_example("快" * 40, urgency="high"),
        make_example("慢", sentiment="positive"),
    ]
    texts = [example.text for example in examples]
    tokenizer = build_tokenizer(texts * 2, max_tokens=16)
    rows = tokenize_rows(texts, examples, schema=schema, tokenizer=tokenizer)
    assert (len(rows), rows.lengths.tolist(), rows.clipped) == (3, [5, 16, 3], 1)
    batch = collate(rows, [2, 0], pad_id=tokenizer.pad_id)
    assert batch.mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch.ids[0].tolist() == [*tokenizer.encode(["慢"])[0], 0, 0]
    assert batch.targets["sentiment"].tolist() == [2, 0]
    assert batch.targets["urgency"].tolist() == [-1, -1]
    assert batch.targets["aspects"][0].tolist() == [-1] * 12
    assert batch.targets["aspects"][1].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert "category" not in batch.targets
