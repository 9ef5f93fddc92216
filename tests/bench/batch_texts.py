"""Real comments for the benches of batch scoring: out of the public feedback sets, distinct as a model sees them."""

import random
from pathlib import Path

from pipeline.data_folder import data_folder
from pipeline.errors import DataError, TextError
from pipeline.prepare import prepare
from training.public_sets import present_sets, public_sets, texts_of

SEED = 20260301


def distinct_comments(count: int) -> list[str]:
    """Raw texts of which no two become one when they are prepared; the same ones every time, in a seeded order.

    Feedback sets come first; only where they do not suffice are general ones read. Raises DataError `too_few_rows`.
    """
    data = data_folder()
    found: dict[str, str] = {}
    for kind in ("feedback", "general"):
        raw = _raw(data, kind)
        random.Random(SEED).shuffle(raw)
        for text in raw:
            if len(found) == count:
                break
            try:
                found.setdefault(prepare(text).text, text)
            except TextError:
                continue
    if len(found) < count:
        raise DataError("too_few_rows", f"expected {count:,} distinct comments under {data}; found {len(found):,}")
    texts = list(found.values())
    random.Random(SEED).shuffle(texts)
    return texts


def _raw(data: Path, kind: str) -> list[str]:
    sets = [one for one in present_sets(data, public_sets()) if one.kind == kind]
    return sorted({text for one in sets for split in one.text for text in texts_of(data, one, split)})
