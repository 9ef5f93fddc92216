"""Fits the network: tokenizer, encoder, the loop, then the exported graph that will answer in its place."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors.torch import save
from transformers import BertConfig, PreTrainedConfig, PreTrainedModel

from models.network import FeedbackClassifier, fit_vocabulary, load_encoder, longest_input, new_classifier
from models.onnx_export import export, torch_forward
from models.onnx_model import WEIGHTS, NetworkModel, onnx_network, tokenizer_settings
from models.shared_weights import refer_to_weights
from models.tokenization import FeedbackTokenizer, build_tokenizer, load_tokenizer
from pipeline.resources import shipped
from pipeline.schema import LabelSchema
from training.config import NONE, SHIPPED, NetworkSettings, TrainConfig
from training.continuing import Parent, continue_from
from training.dataset import tokenize_rows
from training.fitting import Fitted
from training.loop import LoopResult, Trainer
from training.processes import part_ways
from training.progress import Progress
from training.rows import Parts, Rows


def fit_network(
    config: TrainConfig, schema: LabelSchema, parts: Parts, *, folder: Path, progress: Progress
) -> Fitted | None:
    """Train and export. None in the processes beside the first one."""
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    set_seed(config.seed)
    settings = config.network
    classifier, tokenizer, parent = _build(settings, schema, parts.train)
    if parent:
        progress.say(f"goes on from {parent}")
    # From here on every process draws its own dropout.
    set_seed(config.seed, device_specific=True)
    train = tokenize_rows(parts.train.texts, parts.train.examples, schema=schema, tokenizer=tokenizer)
    if train.clipped:
        progress.say(f"{train.clipped} training rows are longer than {tokenizer.max_tokens} tokens and lose their ends")
    trainer = Trainer(
        accelerator=accelerator,
        classifier=classifier,
        tokenizer=tokenizer,
        schema=schema,
        settings=settings,
        train=train,
        dev=tokenize_rows(parts.dev.texts, parts.dev.examples, schema=schema, tokenizer=tokenizer),
        folder=folder,
        key=_key(config, schema, parts),
        seed=config.seed,
        progress=progress,
    )
    progress.say(
        f"network of {_parameters(classifier):,} parameters, {tokenizer.backend.get_vocab_size():,} tokens, "
        f"{len(train):,} rows, on {accelerator.num_processes} x {accelerator.device.type}"
    )
    result = trainer.fit(resume=config.resume)
    part_ways(accelerator)
    progress.say(
        f"best of {result.epochs} epochs: {result.best_epoch + 1}, dev {result.best_score:.3f} "
        f"({result.steps} steps, {result.seconds:.0f} s)"
    )
    if not accelerator.is_main_process:
        return None
    classifier.cpu().train(False)
    return replace(_exported(classifier, tokenizer, result), parent=parent)


def _build(
    settings: NetworkSettings, schema: LabelSchema, rows: Rows
) -> tuple[FeedbackClassifier, FeedbackTokenizer, Parent | None]:
    """The untrained classifier: around another model's encoder, a pre-trained one, or random weights."""
    if settings.start is not None:
        on = continue_from(settings.start, schema, max_tokens=settings.max_tokens, dropout=settings.dropout)
        return on.classifier, on.tokenizer, on.parent
    encoder: PreTrainedConfig | PreTrainedModel
    if settings.encoder == NONE:
        tokenizer = build_tokenizer(
            rows.texts,
            max_tokens=settings.max_tokens,
            min_count=settings.min_count,
            max_size=settings.vocabulary,
        )
        encoder = _new_encoder(settings, tokenizer)
    else:
        name = str(shipped("models", "encoder")) if settings.encoder == SHIPPED else settings.encoder
        encoder = load_encoder(name, revision=settings.revision)
        longest = min(settings.max_tokens, longest_input(encoder.config))
        tokenizer = load_tokenizer(name, revision=settings.revision, max_tokens=longest)
        fit_vocabulary(encoder, tokenizer)
    return new_classifier(encoder, schema, pooling=settings.pooling, dropout=settings.dropout), tokenizer, None


def _new_encoder(settings: NetworkSettings, tokenizer: FeedbackTokenizer) -> BertConfig:
    return BertConfig(
        vocab_size=tokenizer.backend.get_vocab_size(with_added_tokens=True),
        hidden_size=settings.hidden,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.hidden // 64,
        intermediate_size=4 * settings.hidden,
        max_position_embeddings=settings.max_tokens,
        hidden_dropout_prob=settings.dropout,
        attention_probs_dropout_prob=settings.dropout,
        pad_token_id=tokenizer.pad_id,
    )


def _exported(classifier: FeedbackClassifier, tokenizer: FeedbackTokenizer, result: LoopResult) -> Fitted:
    # Stored in half precision: what answers, and what parity is measured against, has the rounded weights.
    halves = {name: value.half().contiguous() for name, value in classifier.state_dict().items()}
    classifier.load_state_dict({name: value.float() for name, value in halves.items()})
    weights = save(halves)
    graph = refer_to_weights(export(classifier), weights)
    encoder = {"tokenizer": tokenizer_settings(tokenizer), "config": classifier.config.to_diff_dict()}
    files = {
        "model.onnx": graph,
        WEIGHTS: weights,
        "tokenizer.json": tokenizer.to_json().encode(),
        "encoder.json": json.dumps(encoder, ensure_ascii=False, indent=1).encode(),
    }
    schema = classifier.schema
    return Fitted(
        kind="network",
        model=onnx_network(graph, weights, tokenizer=tokenizer, schema=schema),
        files=files,
        reference=NetworkModel(tokenizer=tokenizer, forward=torch_forward(classifier), schema=schema),
        facts={
            "parameters": _parameters(classifier),
            "epochs": result.epochs,
            "best_epoch": result.best_epoch + 1,
            "steps": result.steps,
        },
        curves=_curves(result.history),
    )


def _curves(history: tuple[Mapping[str, float], ...]) -> dict[str, tuple[tuple[int, float], ...]]:
    names = {name for entry in history for name in entry}
    return {
        f"epoch/{name}": tuple((i + 1, entry[name]) for i, entry in enumerate(history) if name in entry)
        for name in sorted(names)
    }


def _key(config: TrainConfig, schema: LabelSchema, parts: Parts) -> str:
    """Digest of the settings, the labels and all rows that the weights depend on."""
    digest = hashlib.sha256(json.dumps([config.essence(), schema.digest], sort_keys=True).encode())
    for rows in (parts.train, parts.dev):
        for example, text in zip(rows.examples, rows.texts, strict=True):
            digest.update(repr((text, sorted(example.labels.items(), key=lambda item: item[0]))).encode())
    return digest.hexdigest()


def _parameters(classifier: FeedbackClassifier) -> int:
    return sum(parameter.numel() for parameter in classifier.parameters())
