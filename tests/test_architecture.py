"""The house rules of the design, read off the source: who may import whom, how long a file may be, what is barred."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("pipeline", "models", "training", "serving")
MAY_IMPORT = {
    "pipeline": set(),
    "models": {"pipeline"},
    "training": {"pipeline", "models"},
    "serving": {"pipeline", "models"},
}
# Library -> where it may be imported: rooms, or single files.
FENCES = {
    "torch": ("models/", "training/"),
    "transformers": ("models/", "training/"),
    "mlflow": ("models/registry.py", "models/pyfunc_entry.py", "models/pyfunc_export.py", "training/tracking.py"),
    "fastapi": ("serving/",),
    "starlette": ("serving/",),
    "jieba": ("pipeline/segment.py",),
    "ray": ("models/ray_",),
    "jinja2": ("serving/page/assets.py", "pipeline/insights/report_text/page.py"),
    "sqlalchemy": ("serving/store/",),
    "alembic": ("serving/store/",),
    "opentelemetry": ("serving/otlp.py",),
}
FORBIDDEN_CALLS = {
    ("pickle", "load"),
    ("pickle", "loads"),
    ("pickle", "dump"),
    ("pickle", "dumps"),
    ("joblib", "load"),
    ("torch", "load"),
    ("torch", "save"),
    ("yaml", "load"),
    ("os", "system"),
    ("dill", "load"),
    ("cloudpickle", "load"),
}
SOURCES = [*sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")), ROOT / "fankui.py"]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}: relative import"
            yield node.module or ""


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_rooms_import_only_what_the_design_allows(path: Path) -> None:
    room = name(path).split("/")[0]
    if room == "fankui.py":
        return
    mine = {module.split(".")[0] for module in imports(path)}
    strangers = mine & {*ROOMS, "fankui"} - MAY_IMPORT[room] - {room}
    assert not strangers, f"{name(path)} imports {strangers}"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_heavy_libraries_stay_behind_their_fences(path: Path) -> None:
    for module in imports(path):
        allowed = FENCES.get(module.split(".")[0])
        assert allowed is None or name(path).startswith(allowed), f"{name(path)} imports {module}"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_files_and_functions_stay_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 400, f"{name(path)} has {lines} lines"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 80, f"{name(path)}:{node.lineno} {node.name} has {length} lines"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_nothing_unsafe_is_called(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name):
            assert function.id not in ("eval", "exec"), f"{name(path)}:{node.lineno}"
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
            assert (function.value.id, function.attr) not in FORBIDDEN_CALLS, f"{name(path)}:{node.lineno}"
        for keyword in node.keywords:
            risky = keyword.arg in ("trust_remote_code", "shell") and not (
                isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            )
            assert not risky, f"{name(path)}:{node.lineno} {keyword.arg}"


def test_every_module_says_what_it_is() -> None:
    silent = [name(path) for path in SOURCES if not ast.get_docstring(tree(path))]
    assert silent == []


def test_names_say_something() -> None:
    empty = re.compile(r"^(utils?|helpers?|common|misc|base|manager)$")
    assert [name(path) for path in SOURCES if empty.match(path.stem)] == []


def test_data_holds_no_code() -> None:
    assert list((ROOT / "data").rglob("*.py")) == []


IMPORT_ALL = """
import importlib, os, sys
for module in {modules!r}:
    importlib.import_module(module)
"""


def test_importing_everything_changes_nothing(tmp_path: Path) -> None:
    """No folders, no environment reads, no logging set up at import: run in an empty folder and look for traces."""
    modules = [name(path)[:-3].replace("/", ".").removesuffix(".__init__") for path in SOURCES]
    # Run as a script by MLflow, not imported: it calls mlflow.models.set_model at its top.
    # Likewise Alembic's, which sets the context that it asks for.
    modules = [module for module in modules if module not in ("models.pyfunc_entry", "serving.store.migrations.env")]
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL.format(modules=modules)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name not in (".cache", ".config")] == []


LIGHT = {
    "models.cli": ("torch", "transformers", "mlflow", "sklearn", "fastapi", "pandas", "matplotlib", "ray"),
    "serving.app": (
        "torch",
        "transformers",
        "mlflow",
        "sklearn",
        "pandas",
        "matplotlib",
        "sqlalchemy",
        "alembic",
        "jinja2",
        "opentelemetry.sdk",
    ),
    "fankui": ("torch", "transformers", "mlflow", "sklearn", "fastapi", "onnxruntime", "pyarrow", "numpy"),
}


@pytest.mark.parametrize("module", LIGHT)
def test_entry_points_stay_light(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({set(LIGHT[module])!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_front_door_names_only_what_exists() -> None:
    import importlib

    import fankui

    for verb in fankui.VERBS.values():
        module, _, attribute = verb.target.partition(":")
        assert hasattr(importlib.import_module(module), attribute), verb.target
