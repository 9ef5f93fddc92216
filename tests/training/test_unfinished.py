"""Checkpoints are gone on from, never written over."""

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from training.unfinished import complete_checkpoints, refuse_unfinished


def test_the_newest_step_is_told(tmp_path: Path) -> None:
    for name in ("step-00000200", "step-00001400", ".step-00001600.tmp"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    with pytest.raises(UsageError) as caught:
        refuse_unfinished(tmp_path, tmp_path / "checkpoints", what="leg")
    assert caught.value.code == "leg_unfinished"
    assert caught.value.message == (
        f"{tmp_path} holds an unfinished leg (step 1,400); go on with --resume, or name another --output"
    )


def test_without_a_whole_checkpoint_nothing_is_lost(tmp_path: Path) -> None:
    refuse_unfinished(tmp_path, tmp_path / "checkpoints", what="leg")
    (tmp_path / "checkpoints" / ".step-00000200.tmp").mkdir(parents=True)
    (tmp_path / "checkpoints" / "step-note").write_text("", encoding="utf-8")
    refuse_unfinished(tmp_path, tmp_path / "checkpoints", what="leg")
    assert complete_checkpoints(tmp_path / "checkpoints") == []
