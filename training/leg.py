"""One leg of pre-training: steps until the minutes or the steps are used up, the learning rate gone to nothing by then.

So every leg ends with a usable encoder, and the next one starts from it. Several processes share every step's rows:

    torchrun --nproc-per-node 2 -m fankui pretrain --output runs/leg-1 --minutes 60

On a CPU one process a core is faster than one with as many threads: 4x256 in bf16 on two cores, tokens a second,
12,000 against 11,200.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import AdamW

from pipeline.errors import FeedbackError
from training import checkpoint
from training.checkpoint import Standing
from training.interrupt import stop_signal
from training.objectives import Losses
from training.packing import Batch
from training.progress import Progress
from training.unfinished import begins_anew

_RECORD_STEPS = 20  # steps whose means make one point of the curves
_FINAL_RATE = 0.01  # of the greatest: the last steps still do something


@dataclass(frozen=True, slots=True)
class LegSettings:
    """How a leg is run; exactly one of `minutes` and `steps` is given."""

    minutes: float | None = None
    steps: int | None = None
    learning_rate: float = 1.5e-3
    warmup: float = 0.06  # share of the leg
    weight_decay: float = 0.01
    clip: float = 1.0  # greatest norm of a gradient
    bf16: bool = False
    checkpoint_seconds: float = 60.0  # between two checkpoints


@dataclass
class Leg:
    """One leg of one model. `batches` gives a fresh iterator that always yields the same ones."""

    model: nn.Module
    settings: LegSettings
    batches: Callable[[], Iterator[Batch]]
    folder: Path  # of the checkpoints
    key: str  # of all that makes the leg what it is
    accelerator: Accelerator
    progress: Progress
    device: torch.device = field(init=False)
    optimizer: AdamW = field(init=False)
    shared: Callable[[Batch], Losses] = field(init=False)  # the model; gradients are averaged over the processes
    recent: list[Losses] = field(init=False, default_factory=list)  # since the last point, detached

    def __post_init__(self) -> None:
        self.device = self.accelerator.device
        optimizer = AdamW(
            _groups(self.model, self.settings.weight_decay),
            lr=self.settings.learning_rate,
            betas=(0.9, 0.98),
            eps=1e-6,
            fused=True,
        )
        shared, self.optimizer = self.accelerator.prepare(self.model.to(self.device), optimizer)
        # One process on a GPU: a step of 4x256 would otherwise wait for its small kernels to be started.
        alone = self.device.type == "cuda" and self.accelerator.num_processes == 1
        self.shared = torch.compile(shared, dynamic=False) if alone else shared

    def run(self, *, resume: bool) -> Standing:
        """Train to the end of the leg. Ctrl-C and SIGTERM save a checkpoint and raise KeyboardInterrupt.

        Raises ConfigError `resume_mismatch`, FeedbackError `loss_not_finite`.
        """
        standing = self._resumed() if resume else Standing(self.key)
        batches = islice(self.batches(), standing.step, None)
        before = saved = standing.seconds
        began = time.monotonic()
        with stop_signal() as stop, self.progress.bar("pre-training", 1000) as advance:
            while (share := self._share(standing)) < 1:
                standing = self._step(next(batches), standing, share)
                seconds, wanted = self._agreed(before + time.monotonic() - began, stop.wanted)
                standing = replace(standing, seconds=seconds)
                advance(round(1000 * self._share(standing)), note=_note(standing))
                if wanted or seconds - saved >= self.settings.checkpoint_seconds:
                    self._save(standing)
                    saved = seconds
                if wanted:
                    raise KeyboardInterrupt
        self.shared = self.model  # see part_ways
        return standing

    def _step(self, batch: Batch, standing: Standing, share: float) -> Standing:
        rate = self.settings.learning_rate * self._rate(share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        mine = batch.part(self.accelerator.process_index, self.accelerator.num_processes)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.settings.bf16):
            losses: Losses = self.shared(mine)
        self.accelerator.backward(losses.total)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return self._recorded(replace(standing, step=standing.step + 1), losses, rate=rate, tokens=batch.ids.numel())

    def _recorded(self, standing: Standing, losses: Losses, *, rate: float, tokens: int) -> Standing:
        """Add to the running means; every few steps they become a point of the curves."""
        # Read only once in a while: to read a loss is to wait for the GPU.
        self.recent.append(Losses(*(value.detach() for value in losses)))
        if standing.step % _RECORD_STEPS and standing.step != self.settings.steps:
            return standing
        # After a resumption at any step, the first point is the mean of fewer.
        columns = (torch.stack(column).double().mean() for column in zip(*self.recent, strict=True))
        means = {name: float(mean) for name, mean in zip(("loss", "mlm", "rtd", "found"), columns, strict=True)}
        self.recent = []
        if not math.isfinite(means["loss"]):
            raise FeedbackError(
                "loss_not_finite",
                f"a loss of the {_RECORD_STEPS} steps to {standing.step} is not a number; start again with a smaller "
                "--learning-rate",
            )
        point = {"step": standing.step, "tokens": standing.step * tokens, "seconds": standing.seconds, "rate": rate}
        return replace(standing, history=(*standing.history, point | means))

    def _share(self, standing: Standing) -> float:
        """How much of the leg is done, 0 to 1."""
        if self.settings.steps is not None:
            return standing.step / self.settings.steps
        return standing.seconds / (60 * (self.settings.minutes or 0.0)) if self.settings.minutes else 1.0

    def _rate(self, share: float) -> float:
        """Learning rate as a part of the greatest: up in a straight line, then down in one."""
        if share < self.settings.warmup:
            return max(share / self.settings.warmup, _FINAL_RATE)
        return max((1 - share) / (1 - self.settings.warmup), _FINAL_RATE)

    def _agreed(self, seconds: float, stop: bool) -> tuple[float, bool]:
        """The slowest process's clock, and whether any is to stop: all must leave the loop at the same step."""
        if self.accelerator.num_processes == 1:
            return seconds, stop
        told = self.accelerator.gather(torch.tensor([[seconds, float(stop)]], dtype=torch.float64))
        return float(told[:, 0].max()), bool(told[:, 1].max() > 0)

    def _save(self, standing: Standing) -> None:
        states = checkpoint.all_random_states(self.accelerator)
        if self.accelerator.is_main_process:
            checkpoint.save(self.folder, standing, model=self.model, optimizer=self.optimizer, random_states=states)
        self.accelerator.wait_for_everyone()

    def _resumed(self) -> Standing:
        found = checkpoint.latest(self.folder)
        if found is None:
            self.progress.say(begins_anew(self.folder))
            return Standing(self.key)
        standing = checkpoint.standing_of(found, key=self.key)
        states = checkpoint.load(found, model=self.model, optimizer=self.optimizer)
        checkpoint.restore_random_state(self.accelerator, states)
        self.progress.say(f"goes on from step {standing.step:,}")
        return standing


def curves(history: tuple[Mapping[str, float], ...]) -> dict[str, list[tuple[int, float]]]:
    """The points of a leg by figure, as tracking wants them."""
    names = ("loss", "mlm", "rtd", "found", "rate", "tokens")
    return {f"pretrain/{name}": [(int(point["step"]), point[name]) for point in history] for name in names}


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Biases and the norms' scales are not decayed."""
    found = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in found if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in found if p.dim() < 2], "weight_decay": 0.0},
    ]


def _note(standing: Standing) -> str:
    if not standing.history:
        return f"step {standing.step:,}"
    last = standing.history[-1]
    pace = last["tokens"] / max(last["seconds"], 1e-9)
    return f"step {standing.step:,} loss {last['loss']:.3f} {pace:,.0f} tok/s"
