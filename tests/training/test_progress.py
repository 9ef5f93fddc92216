"""What a training shows on a terminal, and in a log."""

import io

import pytest
from rich.console import Console

from training.progress import Terminal

NOTE = "step 12,345 loss 4.123 12,345 tok/s"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def log(clock: Clock) -> tuple[Terminal, io.StringIO]:
    file = io.StringIO()
    return Terminal(Console(file=file, width=80), clock=clock), file


def test_a_log_gets_a_line_every_half_minute(clock: Clock) -> None:
    progress, file = log(clock)
    with progress.bar("training", 400) as advance:
        for step in range(1, 101):
            clock.now += 1
            advance(step, note=f"epoch 1 loss {4 - step / 100:.3f}")
    assert file.getvalue().splitlines() == [
        "training: 8 %, 30 of 400 (0.97/s), epoch 1 loss 3.700, 30 s gone, about 6 min left",
        "training: 15 %, 60 of 400 (0.98/s), epoch 1 loss 3.400, 1 min gone, about 6 min left",
        "training: 22 %, 90 of 400 (0.99/s), epoch 1 loss 3.100, 2 min gone, about 5 min left",
        "training: done in 2 min",
    ]


def test_a_pace_of_the_note_is_enough_and_what_was_done_before_is_no_pace(clock: Clock) -> None:
    progress, file = log(clock)
    with progress.bar("pre-training", 1000) as advance:
        for done in (500, 510):
            clock.now += 30
            advance(done, note=NOTE)
    first, second, _ = file.getvalue().splitlines()
    assert first == f"pre-training: 50 %, {NOTE}, 30 s gone"
    assert second == f"pre-training: 51 %, {NOTE}, 1 min gone, about 49 min left"


def test_what_is_soon_done_leaves_no_line_in_a_log(clock: Clock) -> None:
    progress, file = log(clock)
    with progress.bar("evaluating", 2) as advance:
        advance(1, note="dev [x]")
        clock.now += 29
        advance(2)
    assert file.getvalue() == ""


def test_long_trainings_tell_hours(clock: Clock) -> None:
    progress, file = log(clock)
    with progress.bar("training", 100) as advance:
        advance(0)
        clock.now = 3720
        advance(50)
    assert "1 h 02 min gone, about 1 h 02 min left" in file.getvalue()


@pytest.mark.parametrize("note", [NOTE, NOTE + " and much more than fits beside it on the line"])
def test_a_bar_fits_in_80_columns_and_only_its_note_is_cut(note: str) -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system=None, legacy_windows=False)
    with Terminal(console).bar("pre-training", 1000) as advance:
        advance(100, note=note)
    last = [line for line in file.getvalue().replace("\r", "\n").splitlines() if "pre-training" in line][-1]
    assert "10 % 0:00:0" in last
    assert "step 12,345 loss 4.123" in last
    assert "12,345 tok/s" in last
    assert ("…" in last) is (note != NOTE)


def test_a_message_is_no_markup(clock: Clock) -> None:
    progress, file = log(clock)
    progress.say("expected [text] " * 8)
    assert file.getvalue() == "expected [text] " * 8 + "\n"
