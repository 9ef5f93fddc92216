"""The card of a pre-trained encoder: what it is, what it has read, what was spent on it, what it cannot do."""

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import BertConfig

from training.public_sets import public_sets

_KINDS = {"feedback": "customer feedback", "general": "general text"}
_READ = """## Limits

- It has read the sets above, in simplified Chinese; what is written otherwise than they are is foreign to it.
"""
_LIMITS = """- It knows nothing of what came up after they were written.
- Text must be prepared as `pipeline.prepare` does (NFKC, simplified, emoji as words, personal data as placeholders).
- What people wrote there, it repeats, insults, prejudice and rumours among it.
- It is an encoder: it says nothing by itself and is to be fine-tuned (`fankui train --encoder FOLDER`).
"""


def encoder_card(legs: Sequence[Mapping[str, Any]], *, shape: BertConfig, parameters: int, megabytes: float) -> str:
    """Markdown; the figures are those of the legs."""
    tokens = sum(leg["tokens"] for leg in legs)
    hours = sum(leg["seconds"] for leg in legs) / 3600
    sources = legs[-1]["sources"]
    return "\n".join(
        [
            "# fankui encoder\n",
            f"A BERT encoder of {shape.num_hidden_layers} layers, {shape.hidden_size} wide, "
            f"{shape.num_attention_heads} heads, {shape.max_position_embeddings} positions and "
            f"{shape.vocab_size:,} tokens (characters and frequent words): {parameters:,} parameters, "
            f"{megabytes:.1f} MB in half precision. "
            f"{_begun(legs[0])} on {_corpus(sources)}: {tokens:,} tokens in {hours:.2f} hours.\n",
            "Load it with `dtype=torch.float32`; half precision is for storage only.\n",
            "## Compute\n",
            *_legs(legs),
            "\n## Data\n",
            *_sources(sources),
            *_labels(legs),
            "",
            "\n".join([_READ.rstrip("\n"), *_about(sources), _LIMITS]),
        ]
    )


def _begun(first: Mapping[str, Any]) -> str:
    if first.get("begun_from"):
        return f"Pre-trained further, from the encoder {first['begun_from']},"
    # A round of labels goes on from an encoder always; with no leg before it, from one that is not of this program.
    return "Trained further from another encoder" if first["objective"] == "labels" else "Pre-trained from nothing"


def _corpus(sources: Mapping[str, Mapping[str, Any]]) -> str:
    """What the texts are, by the kinds that the table of sets gives them."""
    sizes = {kind: sum(one["tokens"] for one in sources.values() if one["kind"] == kind) for kind in _KINDS}
    read = [name for name, one in sources.items() if one["tokens"]]
    kinds = " and ".join(_KINDS[kind] for kind, size in sizes.items() if size)
    share = 100 * sizes["feedback"] / max(sum(sizes.values()), 1)
    mixed = f", {share:.0f} % of it feedback" if all(sizes.values()) else ""
    names = f"`{read[0]}`" if len(read) == 1 else f"{len(read)} sets"
    return f"{kinds} in Chinese ({names}{mixed})" if kinds else "labelled texts"


def _about(sources: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the tables of sets say of those that were read."""
    shipped = {one.name: one.about for one in public_sets()}
    # An encoder whose corpus was built before sets had such a line keeps the shipped one's.
    found = {name: one.get("about", shipped.get(name, "")) for name, one in sources.items() if one["tokens"]}
    return [f"- `{name}`: {about}." for name, about in found.items() if about]


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
        f"\n## Labels\n\nThe multi-task round learnt from {last['rows']:,} rows; files of own labels: "
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
