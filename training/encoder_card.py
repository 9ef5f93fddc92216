"""The card of a pre-trained encoder: what it is, what it has read, what was spent on it, what it cannot do."""

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import BertConfig

_LIMITS = """## Limits

- It has read comments, complaints, questions, posts and articles in simplified Chinese; other text is foreign to it.
- Text must be prepared as `pipeline.prepare` does (NFKC, simplified, emoji as words, personal data as placeholders).
- The posts are of 2011 to 2020, many on one epidemic. It knows nothing of later things.
- What people wrote there, it repeats: insults, prejudice and rumours are in the data.
- It is an encoder: it says nothing by itself and is to be fine-tuned (`fankui train --encoder FOLDER`).
"""


def encoder_card(legs: Sequence[Mapping[str, Any]], *, shape: BertConfig, parameters: int, megabytes: float) -> str:
    """Markdown; the figures are those of the legs."""
    tokens = sum(leg["tokens"] for leg in legs)
    hours = sum(leg["seconds"] for leg in legs) / 3600
    return "\n".join(
        [
            "# fankui encoder\n",
            f"A BERT encoder of {shape.num_hidden_layers} layers, {shape.hidden_size} wide, "
            f"{shape.num_attention_heads} heads, {shape.max_position_embeddings} positions and "
            f"{shape.vocab_size:,} tokens (characters and frequent words): {parameters:,} parameters, "
            f"{megabytes:.1f} MB in half precision. "
            "Pre-trained from nothing on Chinese customer feedback and general text: "
            f"{tokens:,} tokens in {hours:.2f} hours.\n",
            "Load it with `dtype=torch.float32`; half precision is for storage only.\n",
            "## Compute\n",
            *_legs(legs),
            "\n## Data\n",
            *_sources(legs[-1]["sources"]),
            *_labels(legs),
            "",
            _LIMITS,
        ]
    )


def _legs(legs: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "| leg | objective | steps | tokens | hours | device | learning rate | loss |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for number, leg in enumerate(legs, 1):
        losses = ", ".join(f"{name} {value:.3f}" for name, value in leg["losses"].items() if value)
        lines.append(
            f"| {number} | {leg['objective']} | {leg['steps']:,} | {leg['tokens']:,} | {leg['seconds'] / 3600:.2f} | "
            f"{leg['device']} | {leg['learning_rate']:g} | {losses} |"
        )
    return lines


def _labels(legs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The labelled sets of the multi-task rounds."""
    rounds = [leg for leg in legs if leg["objective"] == "labels"]
    if not rounds:
        return []
    last = rounds[-1]
    own = ", ".join(f"{file['name']} (sha256 {file['sha256'][:12]})" for file in last["own"]["files"]) or "none"
    lines = [
        f"\n## Labels\n\nThe multi-task round learnt from {last['rows']:,} rows; files of the project's own labels: "
        f"{own} ({last['own']['held_back']:,} of their rows held back).\n",
        "| set | labels read | held back |",
        "|---|---|---|",
    ]
    for name, count in last["labels"].items():
        lines.append(f"| {name} | {count.get('rows', 0):,} | {count.get('held_back', 0):,} |")
    return lines


def _sources(sources: Mapping[str, Mapping[str, Any]]) -> list[str]:
    held = sum(one["same"] + one["contained"] + one["near"] for one in sources.values())
    lines = [
        f"Every text once. {held:,} texts were left out because dev or an evaluation split holds the same, contains it "
        "or has a near-duplicate of it.\n",
        "| set | kind | texts read | held back (same, contained, near) | duplicates | documents | tokens |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in sources.items():
        lines.append(
            f"| {name} | {one['kind']} | {one['read']:,} | {one['same']:,}, {one['contained']:,}, {one['near']:,} | "
            f"{one['duplicate']:,} | {one['documents']:,} | {one['tokens']:,} |"
        )
    return lines
