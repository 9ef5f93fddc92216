"""pipeline/atomic.py: whole or not at all."""

import os
from pathlib import Path

import pytest

from pipeline.atomic import atomic_file, atomic_folder


def test_file_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out.txt"
    with atomic_file(target) as part:
        part.write_text("新", encoding="utf-8")
        assert not target.exists()
    assert target.read_text(encoding="utf-8") == "新"
    assert os.listdir(target.parent) == ["out.txt"]
    plain = tmp_path / "plain"
    plain.touch()
    assert target.stat().st_mode == plain.stat().st_mode


def test_failed_file_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError), atomic_file(target) as part:
        part.write_text("half", encoding="utf-8")
        raise RuntimeError
    assert target.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_folder_appears_whole_and_is_never_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with pytest.raises(RuntimeError), atomic_folder(target) as part:
        (part / "half").touch()
        raise RuntimeError
    assert os.listdir(tmp_path) == []
    with atomic_folder(target) as part:
        (part / "inner").mkdir()
        (part / "inner" / "a").write_text("1", encoding="utf-8")
    assert (target / "inner" / "a").read_text(encoding="utf-8") == "1"
    with pytest.raises(FileExistsError), atomic_folder(target):
        pass
    assert os.listdir(tmp_path) == ["bundle"]
