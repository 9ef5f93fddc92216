"""The training loop of the network: steps, dev figures after every epoch, the best weights kept, checkpoints.

Own loop on `accelerate`, which brings bf16 and several processes:

    torchrun --nproc-per-node 2 -m fankui train --train … --dev …
"""

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import AdamW

from models.heads import probabilities
from models.network import FeedbackClassifier
from models.onnx_export import torch_forward
from models.onnx_model import NetworkModel
from models.tokenization import FeedbackTokenizer
from pipeline.schema import LabelSchema
from training import checkpoint
from training.checkpoint import Standing
from training.config import NetworkSettings
from training.dataset import Batch, TokenRows, epoch_batches, part_of, targets_of
from training.device import has_bf16
from training.interrupt import stop_signal
from training.losses import Whole, class_weights, total_loss, whole_batch
from training.metrics import HEADLINE, measure
from training.progress import Progress
from training.regularize import Average, disagreement, moved_embeddings, parameter_groups
from training.unfinished import begins_anew

# Dev figures within this are equal: the earlier epoch is kept.
_GAIN = 1e-6


@dataclass(frozen=True)
class LoopResult:
    """How a training went; the model holds the best epoch's weights."""

    epochs: int
    steps: int
    best_epoch: int
    best_score: float
    seconds: float
    history: tuple[Mapping[str, float], ...]


@dataclass
class Trainer:
    """One training of one classifier. `folder` is where its checkpoints live; `key` says which training they are of."""

    accelerator: Accelerator
    classifier: FeedbackClassifier
    tokenizer: FeedbackTokenizer
    schema: LabelSchema
    settings: NetworkSettings
    train: TokenRows
    dev: TokenRows
    folder: Path
    key: str
    seed: int
    progress: Progress
    model: nn.Module = field(init=False)
    optimizer: AdamW = field(init=False)
    weights: dict[str, Tensor] = field(init=False)
    batches: int = field(init=False)
    half: bool = field(init=False)
    average: Average | None = field(init=False)

    def __post_init__(self) -> None:
        groups = parameter_groups(
            self.classifier,
            rate=self.settings.learning_rate,
            weight_decay=self.settings.weight_decay,
            layer_decay=self.settings.layer_decay,
        )
        self.model, self.optimizer = self.accelerator.prepare(self.classifier, AdamW(groups))
        self.average = Average(self.classifier, self.settings.averaging) if self.settings.averaging else None
        device = self.accelerator.device
        found = class_weights(self.schema, self.train.gold, self.settings.class_weight)
        self.weights = {name: values.to(device) for name, values in found.items()}
        self.batches = len(self._epoch(0))
        self.half = wants_bf16(self.settings.precision, device)

    def fit(self, *, resume: bool) -> LoopResult:
        """Train until the epochs are done or `patience` epochs bring nothing better.

        Ctrl-C and SIGTERM save a checkpoint and raise KeyboardInterrupt. Raises ConfigError `resume_mismatch`.
        """
        began = time.monotonic()
        standing = self._resumed() if resume else Standing(self.key)
        total = self.settings.epochs * self.batches
        with stop_signal() as stop, self.progress.bar("training", total) as advance:
            while not self._finished(standing):
                standing = self._run_epoch(standing, stop=lambda: stop.wanted, advance=advance)
                standing = self._close_epoch(standing)
                self._save(standing)
                advance(standing.step, note=_note(standing))
            if stop.wanted:
                raise KeyboardInterrupt
        self.accelerator.wait_for_everyone()
        self.model = self.classifier  # see part_ways
        checkpoint.load_best(self.folder, self.classifier)
        return LoopResult(
            epochs=standing.epoch,
            steps=standing.step,
            best_epoch=standing.best_epoch,
            best_score=standing.best_score,
            seconds=time.monotonic() - began,
            history=standing.history,
        )

    def _run_epoch(self, standing: Standing, *, stop: Callable[[], bool], advance: Callable[..., None]) -> Standing:
        batches = self._epoch(standing.epoch)
        for position in range(standing.position, len(batches)):
            loss = self._step(batches[position], standing.step)
            standing = replace(
                standing, step=standing.step + 1, position=position + 1, loss_sum=standing.loss_sum + loss
            )
            advance(standing.step, note=f"epoch {standing.epoch + 1} loss {standing.loss_sum / standing.position:.3f}")
            if self._anyone(stop()):
                self._save(standing)
                raise KeyboardInterrupt
            if standing.step % self.settings.checkpoint_steps == 0:
                self._save(standing)
        return standing

    def _step(self, rows: list[int], step: int) -> float:
        rate = self._rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        world = self.accelerator.num_processes
        batch, count = part_of(
            self.train, rows, rank=self.accelerator.process_index, world=world, pad_id=self.tokenizer.pad_id
        )
        batch, share = batch.to(self.accelerator.device), count / len(rows)
        whole = (
            None
            if world == 1
            else whole_batch(
                self.schema, targets_of(self.train, rows), {name: values.cpu() for name, values in self.weights.items()}
            )
        )
        self.model.train()
        # The processes' gradients are averaged, and have to be added up.
        loss = world * self._loss(batch, whole, share)
        self.accelerator.backward(loss)
        if self.settings.adversarial:
            with moved_embeddings(self.classifier, self.settings.adversarial):
                self.accelerator.backward(world * self._loss(batch, whole, share))
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            self.average.update(self.classifier, step=step + 1)
        return float(self.accelerator.reduce(loss.detach(), reduction="mean") if world > 1 else loss.detach())

    def _loss(self, batch: Batch, whole: Whole | None, share: float) -> Tensor:
        """The loss of a batch, or this process's part of it: `share` of its rows. A scalar."""
        with self._precision():
            logits = self.model(batch.ids, batch.mask)
        loss = total_loss(self.schema, logits, batch.targets, self.weights, whole)
        if not self.settings.consistency:
            return loss
        with self._precision():
            again = self.model(batch.ids, batch.mask)
        other = total_loss(self.schema, again, batch.targets, self.weights, whole)
        return (loss + other) / 2 + self.settings.consistency * share * disagreement(self.schema, logits, again)

    def _close_epoch(self, standing: Standing) -> Standing:
        """Dev figures of the epoch; its weights are kept where they are the best so far."""
        with self.average.in_place(self.classifier) if self.average else nullcontext():
            figures = dev_figures(self.classifier, self.tokenizer, self.dev, self.schema)
            score = float(np.mean(list(figures.values()))) if figures else -standing.loss_sum
            best = standing.best_epoch < 0 or score > standing.best_score + _GAIN
            if best and self.accelerator.is_main_process:
                checkpoint.save_best(self.folder, self.classifier)
        entry = {"loss": standing.loss_sum / max(standing.position, 1), "score": score, **figures}
        return replace(
            standing,
            epoch=standing.epoch + 1,
            position=0,
            loss_sum=0.0,
            best_score=score if best else standing.best_score,
            best_epoch=standing.epoch if best else standing.best_epoch,
            history=(*standing.history, entry),
        )

    def _finished(self, standing: Standing) -> bool:
        waited = standing.epoch - 1 - standing.best_epoch
        return standing.epoch >= self.settings.epochs or (standing.best_epoch >= 0 and waited >= self.settings.patience)

    def _rate(self, step: int) -> float:
        """Learning rate of a step: up in a straight line over the warm-up, then down to nothing at the last epoch."""
        total = max(self.settings.epochs * self.batches, 1)
        warm = max(round(self.settings.warmup * total), 1)
        share = (step + 1) / warm if step < warm else (total - step) / max(total - warm, 1)
        return self.settings.learning_rate * max(share, 0.0)

    def _epoch(self, epoch: int) -> list[list[int]]:
        return epoch_batches(
            self.train.lengths,
            batch_size=self.settings.batch_size,
            seed=self.seed,
            epoch=epoch,
        )

    def _precision(self) -> torch.autocast:
        # Not accelerate's own: that rewrites the model's forward for good, and the export would see bf16 too.
        return torch.autocast(self.accelerator.device.type, dtype=torch.bfloat16, enabled=self.half)

    def _anyone(self, wanted: bool) -> bool:
        """Whether any process wants it: all must leave the loop at the same step, or the others wait forever."""
        if self.accelerator.num_processes == 1:
            return wanted
        flag = torch.tensor([int(wanted)], device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, reduction="sum").item())

    def _save(self, standing: Standing) -> None:
        states = checkpoint.all_random_states(self.accelerator)
        if self.accelerator.is_main_process:
            average = self.average.weights if self.average else None
            checkpoint.save(
                self.folder,
                standing,
                model=self.classifier,
                optimizer=self.optimizer,
                random_states=states,
                average=average,
            )
        self.accelerator.wait_for_everyone()

    def _resumed(self) -> Standing:
        found = checkpoint.latest(self.folder)
        if found is None:
            self.progress.say(begins_anew(self.folder))
            return Standing(self.key)
        standing = checkpoint.standing_of(found, key=self.key)
        states = checkpoint.load(found, model=self.classifier, optimizer=self.optimizer)
        if self.average:
            self.average.weights = checkpoint.load_average(found)
        checkpoint.restore_random_state(self.accelerator, states)
        self.progress.say(f"goes on from step {standing.step} (epoch {standing.epoch + 1})")
        return standing


def dev_figures(
    classifier: FeedbackClassifier, tokenizer: FeedbackTokenizer, rows: TokenRows, schema: LabelSchema
) -> dict[str, float]:
    """The headline figure of every task that the rows are labelled for, such as `urgency/qwk`; uncalibrated."""
    model = NetworkModel(tokenizer=tokenizer, forward=torch_forward(classifier), schema=schema)
    outputs = model.run([rows.row(i) for i in range(len(rows))])
    figures = {}
    for task in schema.tasks:
        if task.name not in rows.gold:
            continue
        name = HEADLINE[task.kind]
        found = measure(task, rows.gold[task.name], probabilities(task, outputs.logits[task.name]))
        # A figure that is undefined on these rows (one level only, say) is no reason to stop choosing by the others.
        if name in found:
            figures[f"{task.name}/{name}"] = found[name]
    return figures


def wants_bf16(precision: str, device: torch.device) -> bool:
    """Whether the forward pass runs in bf16. `auto`: where the hardware multiplies in it, which halves the time."""
    return has_bf16(device) if precision == "auto" else precision == "bf16"


def _note(standing: Standing) -> str:
    return f"epoch {standing.epoch} dev {standing.history[-1]['score']:.3f}, best {standing.best_score:.3f}"
