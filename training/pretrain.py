"""Pre-training, from public texts to an encoder that fine-tunes:

fankui pretrain --data ../shared --output runs/leg-1 --minutes 60
fankui pretrain --data ../shared --output runs/leg-2 --minutes 60 --init runs/leg-1/encoder
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn
from transformers import BertModel

from models.tokenization import MASK, SPECIALS, FeedbackTokenizer, read_tokenizer
from pipeline.data_folder import data_folder
from pipeline.errors import ConfigError, UsageError
from training.checkpoint import Standing
from training.cooccurrence import embeddings
from training.corpus import MANIFEST, TOKENIZER, CorpusSettings, build_corpus, read_manifest
from training.corpus_source import file_digest, require_source
from training.device import chosen_device, device_name, has_bf16
from training.encoder_folder import WEIGHTS, Start, heads_of, read_encoder, write_encoder
from training.leg import Leg, LegSettings, curves
from training.objectives import (
    Objective,
    Pretraining,
    Shape,
    guess_by_frequency,
    new_objective,
    prefer_attention,
    start_from,
)
from training.packing import Batch, Corpus, batches, open_corpus
from training.pretrain_limits import check_limits, writable_folder
from training.processes import part_ways
from training.progress import Progress
from training.public_sets import PublicSet, present_sets, public_sets
from training.unfinished import refuse_unfinished
from training.vocabulary import VocabularySettings

ENCODER, CHECKPOINTS = "encoder", "checkpoints"
_COUNTED_TOKENS = 10_000_000  # for co-occurrence; twice as many change little


@dataclass(frozen=True, slots=True)
class PretrainSettings:
    """One leg and what it reads."""

    output: Path
    corpus: Path = Path("runs/corpus")
    data: Path | None = None  # needed while there is no corpus
    sets: Path | None = None  # a table of sets; None: the shipped one
    init: Path | None = None  # an encoder to go on from
    objective: Objective = "mlm"
    shape: Shape = field(default_factory=Shape)  # not read with `init`
    leg: LegSettings = field(default_factory=LegSettings)
    rows: int = 48  # of a batch
    length: int = 128  # tokens of a row: 6,144 tokens a step
    feedback: float = 0.7  # share of the rows with feedback
    mask: float = 0.15  # share of the words to be guessed
    seed: int = 7
    device: str | None = None
    resume: bool = False
    track: bool = True
    corpus_settings: CorpusSettings = field(default_factory=CorpusSettings)
    vocabulary: VocabularySettings = field(default_factory=VocabularySettings)


@dataclass(frozen=True)
class PretrainResult:
    """A finished leg."""

    encoder: Path
    leg: Mapping[str, Any]
    run_id: str | None


def pretrain(settings: PretrainSettings, *, progress: Progress) -> PretrainResult | None:
    """Run one leg and write its encoder. Ctrl-C saves; `resume` goes on. None in the processes beside the first one.

    Raises UsageError `output_exists` and `leg_unfinished`, ConfigError and DataError as the parts do.
    """
    check_settings(settings)
    accelerator = Accelerator(cpu=chosen_device(settings.device).type == "cpu")
    device = accelerator.device
    settings = replace(settings, leg=replace(settings.leg, bf16=settings.leg.bf16 or has_bf16(device)))
    start = read_encoder(settings.init) if settings.init else None
    with accelerator.main_process_first():
        prepare_corpus(settings, start, progress=progress)
    tokenizer = corpus_tokenizer(settings.corpus, start)
    set_seed(settings.seed)
    model = build_model(settings, tokenizer, start, progress=progress)
    prefer_attention(model, device)
    # From here on every process masks its own rows in its own way.
    set_seed(settings.seed, device_specific=True)
    where = device_name(device, accelerator.num_processes)
    progress.say(f"{sum(p.numel() for p in model.parameters()):,} parameters on {where}")
    leg = Leg(
        model=model,
        settings=settings.leg,
        batches=lambda: _batches(settings, device),
        folder=settings.output / CHECKPOINTS,
        key=_key(settings),
        accelerator=accelerator,
        progress=progress,
    )
    standing = leg.run(resume=settings.resume)
    part_ways(accelerator)
    if not accelerator.is_main_process:
        return None
    record = leg_record(settings, start, standing, where=where)
    folder = settings.output / ENCODER
    heads = heads_of(model, settings.objective)
    write_encoder(folder, model.encoder, heads, tokenizer=tokenizer, legs=[*(start.legs if start else ()), record])
    shutil.rmtree(settings.output / CHECKPOINTS, ignore_errors=True)
    return PretrainResult(folder, record, _tracked(settings, standing, record) if settings.track else None)


def check_settings(settings: PretrainSettings) -> None:
    """Raise ConfigError `setting_invalid`, UsageError `output_exists`, `leg_unfinished` or `output_unwritable`."""
    if (settings.leg.minutes is None) == (settings.leg.steps is None):
        raise ConfigError("setting_invalid", "a leg ends after --minutes or after --steps; give one of the two")
    leg, shape = settings.leg, settings.shape
    check_limits({"--minutes": leg.minutes, "--steps": leg.steps, "--learning-rate": leg.learning_rate})
    check_limits({"--rows": settings.rows, "--feedback": settings.feedback, "--mask": settings.mask})
    check_limits({"--layers": shape.layers, "--hidden": shape.hidden})
    if settings.shape.hidden % 64:
        raise ConfigError("setting_invalid", f"--hidden is a multiple of 64; found {settings.shape.hidden}")
    if (settings.output / ENCODER).exists():
        raise UsageError("output_exists", f"{settings.output} holds a finished leg; name another --output")
    if not settings.resume:
        refuse_unfinished(settings.output, settings.output / CHECKPOINTS, what="leg")
    writable_folder(settings.output)


def prepare_corpus(settings: PretrainSettings, start: Start | None, *, progress: Progress) -> None:
    """Build the corpus where there is none yet; else see that it is of the data that is named.

    Raises DataError `corpus_differs`, and what reading raises.
    """
    table = public_sets(settings.sets)
    if (settings.corpus / MANIFEST).is_file():
        _use_again(settings, table, progress)
        return
    build_corpus(
        data_folder(settings.data),
        settings.corpus,
        table=table,
        tokenizer=start.tokenizer if start else None,
        settings=settings.corpus_settings,
        vocabulary=settings.vocabulary,
        progress=progress,
    )


def _use_again(settings: PretrainSettings, table: tuple[PublicSet, ...], progress: Progress) -> None:
    manifest = read_manifest(settings.corpus)
    # On a machine without the data the corpus alone is enough.
    if settings.data or settings.sets or os.environ.get("FANKUI_DATA"):
        data = data_folder(settings.data)
        require_source(settings.corpus, manifest, data, present_sets(data, table))
    names = list(manifest["sources"])
    progress.say(
        f"uses the corpus {settings.corpus} again: {manifest['tokens']:,} tokens of {len(names)} "
        f"{'set' if len(names) == 1 else 'sets'} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
    )


def corpus_tokenizer(folder: Path, start: Start | None) -> FeedbackTokenizer:
    """The corpus's tokenizer; ConfigError `tokenizer_differs` where the encoder has another one."""
    text = (folder / TOKENIZER).read_text(encoding="utf-8")
    tokenizer = read_tokenizer(text, pad_id=0, unknown_id=1, max_tokens=512)
    if start and start.tokenizer.backend.get_vocab() != tokenizer.backend.get_vocab():
        raise ConfigError(
            "tokenizer_differs",
            f"{folder} was cut with another tokenizer than that of --init; name another --corpus to have it built",
        )
    return tokenizer


def build_model(
    settings: PretrainSettings, tokenizer: FeedbackTokenizer, start: Start | None, *, progress: Progress
) -> Pretraining:
    """The encoder with the objective's heads: gone on from, or new with embeddings from co-occurrence."""
    mask = tokenizer.backend.get_vocab()[MASK]
    if start is not None:
        for module in start.encoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        model = new_objective(settings.objective, start.encoder, mask_id=mask)
        if start.heads.objective == settings.objective:
            model.load_state_dict(start.heads.tensors, strict=False)  # without the encoder, which is in place
        else:
            progress.say("the heads start anew: the encoder brings none of this objective")
            guess_by_frequency(model, _frequencies(open_corpus(settings.corpus), model.vocabulary))
        return model
    vocabulary = tokenizer.backend.get_vocab_size()
    config = settings.shape.config(vocabulary=vocabulary, pad_id=tokenizer.pad_id, dropout=0.0)
    encoder = BertModel(config, add_pooling_layer=False)
    model = new_objective(settings.objective, encoder, mask_id=mask)
    corpus = open_corpus(settings.corpus)
    progress.say("embeddings from co-occurrence")
    table = embeddings(
        _blocks(corpus), vocabulary=vocabulary, width=settings.shape.hidden, specials=len(SPECIALS), seed=settings.seed
    )
    start_from(model, table)
    guess_by_frequency(model, _frequencies(corpus, vocabulary))
    return model


def leg_record(settings: PretrainSettings, start: Start | None, standing: Standing, *, where: str) -> dict[str, Any]:
    """What a leg was, for the encoder's folder."""
    last = standing.history[-1] if standing.history else {}
    return {
        "objective": settings.objective,
        "begun_from": _begun_from(settings, start),
        "steps": standing.step,
        "tokens": standing.step * settings.rows * settings.length,
        "seconds": round(standing.seconds, 1),
        "device": where,
        "learning_rate": settings.leg.learning_rate,
        "bf16": settings.leg.bf16,
        "losses": {name: round(last[name], 4) for name in ("mlm", "rtd", "found") if name in last},
        "settings": _essence(settings),
        "sources": read_manifest(settings.corpus)["sources"],
        "finished": datetime.now(UTC).date().isoformat(),
    }


def _begun_from(settings: PretrainSettings, start: Start | None) -> str | None:
    """An encoder from elsewhere, whose legs are not known; None where all are."""
    if start is None or start.legs or settings.init is None:
        return None
    return f"{settings.init.resolve().name} (sha256 {file_digest(settings.init / WEIGHTS)[:12]})"


def _batches(settings: PretrainSettings, device: torch.device) -> Iterator[Batch]:
    return batches(
        open_corpus(settings.corpus),
        rows=settings.rows,
        length=settings.length,
        feedback=settings.feedback,
        mask=settings.mask,
        specials=len(SPECIALS),
        # A later leg reads in another order.
        seed=settings.seed if settings.init is None else settings.seed + 1,
        device=device,
    )


def _blocks(corpus: Corpus) -> Iterator[np.ndarray[Any, np.dtype[np.uint16]]]:
    """Shards as plain ids, feedback first, until enough is counted."""
    left = _COUNTED_TOKENS
    for file in (file for files in corpus.shards.values() for file in files):
        if left <= 0:
            return
        block = np.asarray(corpus.load(file))[:left] & np.uint16(0x7FFF)
        left -= len(block)
        yield block


def _frequencies(corpus: Corpus, vocabulary: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    counts = np.zeros(vocabulary)
    for block in _blocks(corpus):
        counts += np.bincount(block, minlength=vocabulary)
    counts[: len(SPECIALS)] = 0
    shares: np.ndarray[Any, np.dtype[np.float64]] = counts / counts.sum()
    return shares


def _key(settings: PretrainSettings) -> str:
    """Digest of all that the leg's steps depend on."""
    body = {
        "settings": _essence(settings),
        "corpus": file_digest(settings.corpus / MANIFEST),
        "init": file_digest(settings.init / WEIGHTS) if settings.init else None,
    }
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _essence(settings: PretrainSettings) -> dict[str, Any]:
    names = ("objective", "rows", "length", "feedback", "mask", "seed")
    chosen = {name: getattr(settings, name) for name in names}
    leg = {name: value for name, value in asdict(settings.leg).items() if name != "checkpoint_seconds"}
    return chosen | {"shape": asdict(settings.shape), "leg": leg}


def _tracked(settings: PretrainSettings, standing: Standing, record: Mapping[str, Any]) -> str:
    from pipeline.resources import shipped
    from training.git_state import git_state
    from training.run_record import DataRecord, RunRecord
    from training.tracking import track

    folder = settings.output / ENCODER
    documents = sum(source["documents"] for source in record["sources"].values())
    essence = _essence(settings)
    params = {name: value for name, value in essence.items() if not isinstance(value, Mapping)}
    params |= {name: value for part in (essence["shape"], essence["leg"]) for name, value in part.items()}
    digest = file_digest(folder / WEIGHTS)
    metrics = {f"pretrain/{name}": float(record[name]) for name in ("steps", "tokens", "seconds")}
    return track(
        RunRecord(
            experiment="fankui-encoder",
            run_name=settings.output.name,
            params={name: value for name, value in params.items() if value is not None},
            metrics=metrics,
            tags={**git_state(shipped("data").parent), "model.kind": "encoder", "seed": str(settings.seed)},
            data=[DataRecord(settings.corpus.name, "train", documents, file_digest(settings.corpus / MANIFEST))],
            curves=curves(standing.history),
            artifacts=[folder / "README.md", folder / "pretraining.json"],
        ),
        bundle_digest=digest,
    )
