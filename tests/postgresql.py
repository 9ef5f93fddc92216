"""A PostgreSQL of our own for the tests, from Debian's packages or whatever stands in PATH, on a socket in a folder."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path


def find_binaries() -> Path | None:
    """The folder with initdb and postgres; Debian keeps it out of PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@dataclass
class PostgresqlServer:
    """One server process and its data, which go away with it."""

    binaries: Path
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="fankui-postgresql-")))
    process: "subprocess.Popen[bytes] | None" = None
    made: int = 0

    def create(self) -> None:
        """Make the data folder. PostgreSQL refuses to run as root: there the user `postgres` does it."""
        if self._user:
            shutil.chown(self.folder, self._user)
        self._run("initdb", "--auth=trust", "--username=postgres", "--no-sync", "--pgdata", str(self.folder / "data"))

    def start(self) -> None:
        settings = ("listen_addresses=", f"unix_socket_directories={self.folder}", "fsync=off", "max_connections=60")
        options = [part for setting in settings for part in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.folder / "data", *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=self._user,
            )
        deadline = time.monotonic() + 30
        while self._run("pg_isready", "--host", str(self.folder), check=False):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text(encoding="utf-8")[-2000:])
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop at once; every connection is cut."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # PostgreSQL's "fast" shutdown
            self.process.wait(30)
            self.process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self) -> str:
        """URL of an empty database."""
        self.made += 1
        name = f"store{self.made}"
        self._run("createdb", "--host", str(self.folder), "--username=postgres", name)
        return f"postgresql://postgres@/{name}?host={self.folder}"

    @property
    def _user(self) -> str | None:
        return "postgres" if os.geteuid() == 0 else None

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        command = [self.binaries / program, *arguments]
        return subprocess.run(command, check=check, capture_output=True, cwd=self.folder, user=self._user).returncode
