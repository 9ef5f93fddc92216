from pathlib import Path

import pytest

from pipeline.data_folder import data_folder
from pipeline.errors import ConfigError


def test_data_folder_is_named_or_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    public_data = tmp_path / "public"
    (public_data / "datasets").mkdir(parents=True)
    monkeypatch.setenv("FANKUI_DATA", str(public_data))
    assert data_folder() == public_data
    with pytest.raises(ConfigError, match=f"expected a folder that holds datasets/ .*; found {tmp_path}"):
        data_folder(tmp_path)
    monkeypatch.delenv("FANKUI_DATA")
    with pytest.raises(ConfigError, match="found nothing"):
        data_folder()
