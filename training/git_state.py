"""Which commit a training ran from, for its tags."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def git_state(folder: Path) -> Mapping[str, str]:
    """Commit and cleanliness of the checkout at `folder` as tags; empty outside a checkout or without git."""

    def ask(*words: str) -> str | None:
        try:
            run = subprocess.run(
                ["git", "-C", str(folder), *words],
                capture_output=True,
                text=True,
                check=False,
                timeout=10,
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return run.stdout.strip() if run.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    if not commit:
        return {}
    return {"git.commit": commit, "git.dirty": str(bool(ask("status", "--porcelain"))).lower()}
