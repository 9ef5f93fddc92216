"""A training's whole state on disk, without pickle: safetensors for arrays, JSON for the rest.

    step-000200/
      model.safetensors       weights
      optimizer.safetensors   AdamW's moments, as `NUMBER.NAME`
      random.safetensors      state of every process's random generators
      average.safetensors     the moving average of the weights, where there is one
      state.json              where the training stands

A folder appears whole or not at all, and the one before is removed only then; so a kill at any moment leaves one
that can be gone on from.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.atomic import atomic_file, atomic_folder
from pipeline.errors import ConfigError
from training.unfinished import PREFIX, complete_checkpoints

BEST = "best.safetensors"


@dataclass(frozen=True)
class Standing:
    """Where a training stands after `step` steps."""

    key: str  # digest of all that makes the training what it is: another one is not gone on from
    step: int = 0  # done, over all epochs
    epoch: int = 0  # the running one
    position: int = 0  # batches done in it
    loss_sum: float = 0.0  # over those
    best_score: float = -1.0
    best_epoch: int = -1
    history: tuple[Mapping[str, float], ...] = ()  # figures of each finished epoch
    finished: bool = False
    seconds: float = 0.0  # spent so far, where that matters


def save(
    folder: Path,
    standing: Standing,
    *,
    model: nn.Module,
    optimizer: Optimizer,
    random_states: Mapping[str, Tensor],
    average: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write a checkpoint and remove the ones before."""
    target = folder / f"{PREFIX}{standing.step:08d}"
    if not target.exists():
        with atomic_folder(target) as temporary:
            save_file(_plain(model.state_dict()), temporary / "model.safetensors")
            save_file(_optimizer_tensors(optimizer), temporary / "optimizer.safetensors")
            save_file(_plain(random_states), temporary / "random.safetensors")
            if average is not None:
                save_file(_plain(average), temporary / "average.safetensors")
            state = json.dumps(asdict(standing), ensure_ascii=False, indent=1)
            (temporary / "state.json").write_text(state, encoding="utf-8")
    for other in complete_checkpoints(folder):
        if other != target:
            shutil.rmtree(other)
    return target


def save_best(folder: Path, model: nn.Module) -> None:
    """Keep these weights as the best so far."""
    with atomic_file(folder / BEST) as temporary:
        save_file(_plain(model.state_dict()), temporary)


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint."""
    found = complete_checkpoints(folder)
    return found[-1] if found else None


def standing_of(checkpoint: Path, *, key: str) -> Standing:
    """Read a checkpoint's standing; ConfigError `resume_mismatch` where it is of another training."""
    body = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
    if body["key"] != key:
        raise ConfigError(
            "resume_mismatch",
            f"{checkpoint.parent} is of a training with other rows or settings; give the same ones, or name another "
            "--output without --resume",
        )
    return Standing(**{**body, "history": tuple(body["history"])})


def load(checkpoint: Path, *, model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """Put weights and optimizer back as they were; returns the random states by name."""
    model.load_state_dict(load_file(checkpoint / "model.safetensors"))
    _restore_optimizer(optimizer, load_file(checkpoint / "optimizer.safetensors"))
    return load_file(checkpoint / "random.safetensors")


def load_average(checkpoint: Path) -> dict[str, Tensor]:
    """The moving average of the weights; only a training that keeps one has it."""
    return load_file(checkpoint / "average.safetensors")


def load_best(folder: Path, model: nn.Module) -> None:
    """Put the best weights into the model."""
    model.load_state_dict(load_file(folder / BEST))


def random_state(device: torch.device) -> dict[str, Tensor]:
    """State of this process's generators (dropout draws from them)."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """The inverse of `random_state`."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def all_random_states(accelerator: Accelerator) -> dict[str, Tensor]:
    """The states of every process's generators, as `NUMBER.NAME`; all processes must ask at the same step."""
    states = random_state(accelerator.device)
    together = {name: accelerator.gather(state.to(accelerator.device)[None]) for name, state in states.items()}
    return {f"{i}.{name}": row for name, rows in together.items() for i, row in enumerate(rows)}


def restore_random_state(accelerator: Accelerator, states: Mapping[str, Tensor]) -> None:
    """Put this process's own state back; one that was not there before keeps what it has."""
    prefix = f"{accelerator.process_index}."
    mine = {name.removeprefix(prefix): state for name, state in states.items() if name.startswith(prefix)}
    if mine:
        set_random_state(mine, accelerator.device)


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # A clone of each, because safetensors refuses tensors that share memory.
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": value.detach().cpu().contiguous().clone()
        for number, entry in state.items()
        for name, value in entry.items()
        if isinstance(value, Tensor)
    }


def _restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    body: dict[str, Any] = optimizer.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, entry = name.partition(".")
        state.setdefault(int(number), {})[entry] = value
    optimizer.load_state_dict({"state": state, "param_groups": body["param_groups"]})
