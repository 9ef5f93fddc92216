"""A pre-trained encoder on disk, as transformers and `fankui train --encoder` read it, with what the next leg needs.

config.json model.safetensors tokenizer.json tokenizer_config.json   weights in half precision
heads.safetensors    heads and generator, for the next leg
pretraining.json     every leg: data, compute, losses
README.md            the model card, made from it
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from models.network import load_encoder
from models.tokenization import CLS, MASK, PAD, SEP, UNK, FeedbackTokenizer, load_tokenizer
from pipeline.atomic import atomic_folder
from pipeline.errors import ConfigError
from training.encoder_card import encoder_card

WEIGHTS, HEADS, LEGS = "model.safetensors", "heads.safetensors", "pretraining.json"
DROPOUT = 0.1
"""Written into the configuration, for fine-tuning; pre-training itself goes without."""


@dataclass(frozen=True)
class Start:
    """An encoder that a leg starts from."""

    encoder: BertModel  # float32
    tokenizer: FeedbackTokenizer
    heads: "Heads"
    legs: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Heads:
    """What stands on the encoder while it is pre-trained, kept for the next leg with the same objective."""

    objective: str | None  # None for an encoder from elsewhere
    tensors: Mapping[str, Tensor]


def heads_of(model: nn.Module, objective: str) -> Heads:
    """The heads of a pre-training model: all of its weights that are not the encoder's."""
    return Heads(objective, {name: value for name, value in model.state_dict().items() if _is_head(name)})


def write_encoder(
    folder: Path, encoder: Any, heads: Heads, *, tokenizer: FeedbackTokenizer, legs: Sequence[Mapping[str, Any]]
) -> None:
    """Write an encoder; the folder appears whole or not at all. Raises FileExistsError where there is one."""
    with atomic_folder(folder) as target:
        (target / WEIGHTS).write_bytes(save(_half(encoder.state_dict()), metadata={"format": "pt"}))
        (target / HEADS).write_bytes(save(_half(heads.tensors), metadata={"format": "pt"}))
        _write_json(target / "config.json", _configuration(encoder.config))
        _write_json(target / "tokenizer_config.json", _tokenizer_configuration(tokenizer))
        (target / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
        _write_json(target / LEGS, {"heads": heads.objective, "legs": list(legs)})
        size = sum(file.stat().st_size for file in target.iterdir())
        parameters = sum(value.numel() for value in encoder.parameters())
        card = encoder_card(legs, shape=encoder.config, parameters=parameters, megabytes=size / 1e6)
        (target / "README.md").write_text(card, encoding="utf-8")


def read_encoder(folder: Path) -> Start:
    """Raises ConfigError `encoder_unreadable`, also where it is no BERT."""
    if not (folder / "config.json").is_file():
        raise ConfigError("encoder_unreadable", f"--init {folder}: expected a folder with an encoder; found none")
    encoder = load_encoder(str(folder))
    if not isinstance(encoder, BertModel):
        raise ConfigError(
            "encoder_unreadable", f"--init {folder}: expected a BERT encoder; found {encoder.config.model_type!r}"
        )
    tokenizer = load_tokenizer(str(folder), max_tokens=encoder.config.max_position_embeddings)
    if not (folder / HEADS).is_file():
        return Start(encoder, tokenizer, Heads(None, {}), ())
    tensors = {name: value.float() for name, value in load_file(folder / HEADS).items()}
    record = json.loads((folder / LEGS).read_text(encoding="utf-8"))
    return Start(encoder, tokenizer, Heads(record["heads"], tensors), tuple(record["legs"]))


def _is_head(name: str) -> bool:
    return not name.startswith("encoder.")


def _configuration(config: BertConfig) -> dict[str, Any]:
    body = config.to_diff_dict()
    return body | {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "dtype": "float16",
        "hidden_dropout_prob": DROPOUT,
        "attention_probs_dropout_prob": DROPOUT,
    }


def _tokenizer_configuration(tokenizer: FeedbackTokenizer) -> dict[str, Any]:
    # Named, because transformers would otherwise build BERT's own tokenizer from the vocabulary alone.
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": tokenizer.max_tokens,
        "model_input_names": ["input_ids", "attention_mask"],
        "pad_token": PAD,
        "unk_token": UNK,
        "cls_token": CLS,
        "sep_token": SEP,
        "mask_token": MASK,
    }


def _half(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: value.detach().cpu().to(torch.float16).contiguous()
        for name, value in tensors.items()
        if value.is_floating_point()
    }


def _write_json(path: Path, body: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(body, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")
