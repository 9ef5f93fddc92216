"""Labels that a model is sure of, on comments without labels: what self-training adds to tests.bench.ablation.

    FANKUI_DATA=FOLDER python -m tests.bench.pseudo_labels --model runs/teacher/bundle -o pseudo.jsonl
    python -m tests.bench.ablation … --arm network:model=network --arm self_training:model=network --extra pseudo.jsonl

A seeded sample of the public feedback sets. A comment is kept where the model is sure of its category, with those other
tasks' labels that it is sure of, and no more than `--most` comments of a category, so that the frequent ones do not
drown the rest. The ablation leaves out what is near to the rows that it measures on.
"""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import track

from models.loading import load_predictor
from models.resolving import resolve_model
from pipeline.atomic import write_text
from pipeline.data_folder import data_folder
from pipeline.feedback import Prediction
from tests.bench.online import sample

SURE = 0.9  # a label's probability; of an aspect, that it is mentioned, or that it is not
_LONGEST = 300  # characters, as the labelled rows have it
_AT_ONCE = 512


def main(
    output: Annotated[Path, typer.Option("-o", "--output", help="jsonl file to write.")],
    model: Annotated[str, typer.Option(help="A bundle's folder, or a registered model.")],
    rows: Annotated[int, typer.Option(help="Comments to look at.")] = 30_000,
    most: Annotated[int, typer.Option(help="Comments kept of a category.")] = 700,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 99,
) -> None:
    """Write the file and tell how many comments each category has."""
    predictor = load_predictor(resolve_model(model))
    texts = [text for text in sample(data_folder(), count=rows, seed=seed) if len(text) <= _LONGEST]
    found = []
    for start in track(range(0, len(texts), _AT_ONCE), description="labelling"):
        part = texts[start : start + _AT_ONCE]
        for text, answer in zip(part, predictor.predict_each(part), strict=True):
            if isinstance(answer, Prediction) and "category" in (labels := sure_labels(answer)):
                found.append({"text": text, "source": "unlabelled", **labels})
    random.Random(seed).shuffle(found)
    kept: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    for row in found:
        counts[row["category"]] += 1
        if counts[row["category"]] <= most:
            kept.append({"id": f"pseudo-{len(kept)}", **row})
    write_text(output, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))
    typer.echo(f"{len(kept):,} of {len(texts):,} comments; sure of: {dict(counts.most_common())}")


def sure_labels(answer: Prediction) -> dict[str, Any]:
    """Task -> label of what the model is sure of."""
    found: dict[str, Any] = {name: one.label for name, one in answer.tasks.items() if one.probability >= SURE}
    for name, aspects in answer.aspects.items():
        # A row says of every category whether it is mentioned: one that is open makes them all unknown.
        if all(max(p, 1 - p) >= SURE for p in answer.mentioned[name].values()):
            found[name] = {aspect.category: aspect.polarity for aspect in aspects}
    return found


if __name__ == "__main__":
    typer.run(main)
