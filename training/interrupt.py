"""Ctrl-C and SIGTERM as a question that the loop answers between two steps, so that no step is left half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopSignal:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self.wanted = False


@contextmanager
def stop_signal() -> Iterator[StopSignal]:
    """Catch the first Ctrl-C or SIGTERM as a wish; the second one interrupts at once.

    Outside the main thread, where Python allows no handlers, signals keep their usual effect.
    """
    asked = StopSignal()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def handle(_number: int, _frame: FrameType | None) -> None:
        if asked.wanted:
            raise KeyboardInterrupt
        asked.wanted = True

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
