"""The multi-task round between pre-training and fine-tuning: one encoder learns from every public label at hand.

fankui pretrain --objective labels --init runs/leg-1/encoder --data ../shared --output runs/labels

Labelled text teaches a small encoder far more in an hour than masked words do. A head for each public task stands on
it meanwhile and is thrown away; what is kept is the encoder, for `fankui train --encoder`.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from models.network import new_classifier
from pipeline.data_folder import data_folder
from pipeline.errors import UsageError
from pipeline.schema import LabelSchema, load_schema
from training.config import NetworkSettings
from training.corpus_source import file_digest
from training.dataset import TokenRows, tokenize_rows
from training.device import device_name
from training.encoder_folder import WEIGHTS, Start, read_encoder, write_encoder
from training.leakage import LeakGuard, guard_of
from training.loop import LoopResult, Trainer
from training.pretrain import CHECKPOINTS, ENCODER
from training.pretrain_limits import check_limits, writable_folder
from training.processes import part_ways
from training.progress import Progress
from training.public_labels import LabeledSet, joined_schema, labeled_rows, public_labels
from training.public_sets import public_sets
from training.rows import Rows, hold_out, joined, read_rows
from training.unfinished import refuse_unfinished

_DEV_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class PrefinetuneSettings:
    """One round."""

    output: Path
    init: Path
    data: Path | None = None
    sets: Path | None = None  # a table of one's own: its evaluation splits are guarded too
    train: tuple[Path, ...] = ()  # files with labels of `schema`, learnt in the same round
    schema: Path | None = None  # None: the shipped one
    seed: int = 7
    resume: bool = False
    network: NetworkSettings = field(
        default_factory=lambda: NetworkSettings(
            max_tokens=128, epochs=1, batch_size=96, learning_rate=4e-4, precision="bf16", class_weight="none"
        )
    )

    def with_steps(self, *, rows: int | None, learning_rate: float | None) -> "PrefinetuneSettings":
        """The same with as many rows in a step, and that greatest learning rate, where they are given.

        Raises ConfigError `setting_invalid`.
        """
        check_limits({"--rows": rows, "--learning-rate": learning_rate})
        network = self.network if rows is None else replace(self.network, batch_size=rows)
        network = network if learning_rate is None else replace(network, learning_rate=learning_rate)
        return replace(self, network=network)


def prefinetune(settings: PrefinetuneSettings, *, progress: Progress) -> Mapping[str, Any] | None:
    """Run the round and write the encoder; returns its record, or None in the processes beside the first one.

    Ctrl-C saves; `resume` goes on.
    Raises UsageError `output_exists` and `round_unfinished`, and ConfigError and DataError as the readers do.
    """
    if (settings.output / ENCODER).exists():
        raise UsageError("output_exists", f"{settings.output} holds a finished round; name another --output")
    writable_folder(settings.output)
    if not settings.resume:
        refuse_unfinished(settings.output, settings.output / CHECKPOINTS, what="round")
    start = read_encoder(settings.init)
    data = data_folder(settings.data)
    labels, own = public_labels(), load_schema(settings.schema)
    guard = guard_of(data, public_sets(settings.sets))
    progress.say(str(guard))
    public = labeled_rows(data, labels, guard=guard, progress=progress)
    rows, held = _own_rows(settings, own, guard)
    schema = joined_schema(labels.schema, own)
    trainer = _trainer(settings, start, schema, joined([public.rows, rows]), progress)
    began = time.monotonic()
    result = trainer.fit(resume=settings.resume)
    part_ways(trainer.accelerator)
    if not trainer.accelerator.is_main_process:
        return None
    record = _record(settings, start, public, result, trainer, held=held, seconds=time.monotonic() - began)
    write_encoder(
        settings.output / ENCODER,
        trainer.classifier.cpu().encoder,
        start.heads,  # those of its pre-training: the next leg goes on with them
        tokenizer=start.tokenizer,
        legs=[*start.legs, record],
    )
    shutil.rmtree(settings.output / CHECKPOINTS, ignore_errors=True)
    return record


def _own_rows(settings: PrefinetuneSettings, own: LabelSchema, guard: LeakGuard) -> tuple[Rows, int]:
    """The rows of the user's files that the guard lets through, and how many it held back."""
    rows = joined([read_rows(path, own) for path in settings.train])
    kept = guard.screen(rows.texts, [example.text for example in rows.examples]).kept
    return rows.pick(kept), len(rows) - len(kept)


def _trainer(
    settings: PrefinetuneSettings, start: Start, schema: LabelSchema, rows: Rows, progress: Progress
) -> Trainer:
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    set_seed(settings.seed)
    classifier = new_classifier(start.encoder, schema, pooling=settings.network.pooling)
    apart = min(_DEV_ROWS, len(rows) // 10)
    kept, dev = hold_out(range(len(rows)), share=apart / len(rows), seed=settings.seed)
    progress.say(f"{len(kept):,} rows, {len(dev):,} more to see how it goes, {len(schema.tasks)} tasks")
    return Trainer(
        accelerator=accelerator,
        classifier=classifier,
        tokenizer=start.tokenizer,
        schema=schema,
        settings=settings.network,
        train=_tokens(rows.pick(kept), schema, start, settings),
        dev=_tokens(rows.pick(dev), schema, start, settings),
        folder=settings.output / CHECKPOINTS,
        key=_key(settings, schema, rows),
        seed=settings.seed,
        progress=progress,
    )


def _tokens(rows: Rows, schema: LabelSchema, start: Start, settings: PrefinetuneSettings) -> TokenRows:
    tokenizer = replace(start.tokenizer, max_tokens=settings.network.max_tokens)
    return tokenize_rows(rows.texts, rows.examples, schema=schema, tokenizer=tokenizer)


def _record(
    settings: PrefinetuneSettings,
    start: Start,
    public: LabeledSet,
    result: LoopResult,
    trainer: Trainer,
    *,
    held: int,
    seconds: float,
) -> dict[str, Any]:
    """What the round was, in the form of a leg."""
    lengths = trainer.train.lengths
    last = result.history[-1] if result.history else {}
    own = [{"name": path.name, "sha256": file_digest(path)} for path in settings.train]
    return {
        "objective": "labels",
        "steps": result.steps,
        "tokens": int(lengths.sum()) * result.epochs,
        "seconds": round(seconds, 1),
        "device": device_name(trainer.accelerator.device, trainer.accelerator.num_processes),
        "learning_rate": settings.network.learning_rate,
        "bf16": trainer.half,
        "losses": {"labels": round(float(last.get("loss", np.nan)), 4)},
        "figures": {name: round(float(value), 4) for name, value in last.items() if "/" in name},
        "settings": asdict(settings.network),
        "sources": start.legs[-1]["sources"] if start.legs else {},
        "labels": {name: dict(count) for name, count in public.counts.items()},
        "rows": len(trainer.train),
        "own": {"files": own, "held_back": held},
        "finished": datetime.now(UTC).date().isoformat(),
    }


def _key(settings: PrefinetuneSettings, schema: LabelSchema, rows: Rows) -> str:
    digest = hashlib.sha256(json.dumps([asdict(settings.network), schema.digest, settings.seed]).encode())
    digest.update(file_digest(settings.init / WEIGHTS).encode())
    for example, text in zip(rows.examples, rows.texts, strict=True):
        digest.update(repr((text, sorted(example.labels.items(), key=lambda item: item[0]))).encode())
    return digest.hexdigest()
