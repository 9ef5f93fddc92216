"""Which of several processes this one is, as torchrun tells it; read without torch, which takes seconds to import."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelerate import Accelerator


def process_count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this is the process that speaks and writes."""
    return int(os.environ.get("RANK", "0")) == 0


def part_ways(accelerator: "Accelerator") -> None:
    """End the talk between the processes once all have come to the end of their common work.

    A process that simply ended while another still spoke to it could abort on a busy machine
    (gloo's threads: "terminate called without an active exception"). No wrapped model may be held any longer: one that
    outlives the group ends it with the interpreter's lock in hand, for which a thread of gloo may be waiting, forever.
    """
    accelerator.wait_for_everyone()
    accelerator.free_memory()
    accelerator.end_training()
