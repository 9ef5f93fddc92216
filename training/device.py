"""Where a pre-training runs, and what that place is good at."""

import platform

import torch

from pipeline.errors import ConfigError


def chosen_device(name: str | None) -> torch.device:
    """The named device, else a GPU where there is one. Raises ConfigError `device_missing`."""
    there = ("cuda", "cpu") if torch.cuda.is_available() else ("cpu",)
    kind = (name or there[0]).partition(":")[0]
    if kind not in there:
        raise ConfigError("device_missing", f"--device is one of {', '.join(there)} here; found {name!r}")
    return torch.device(name or kind)


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 in hardware: only then is it faster."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def device_name(device: torch.device, processes: int) -> str:
    """For people: how many times the GPU's name, or the processor's kind and its threads."""
    if device.type == "cuda":
        return f"{processes} x {torch.cuda.get_device_name(device)}"
    return f"{processes} x {platform.machine()} CPU, {torch.get_num_threads()} threads"
