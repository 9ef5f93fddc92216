"""A bundle as an MLflow model that loads anywhere with plain `mlflow.pyfunc.load_model`.

The few modules of ours that scoring needs travel with it under a private package name that carries a
digest of their source: two versions with different code live side by side in one process, and neither
clashes with anybody's own `models`.
"""

import ast
import hashlib
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from models.answer import column_kinds
from models.bundle import ModelBundle
from pipeline.resources import shipped
from pipeline.schema import LabelSchema

_ENTRY = "models.pyfunc_entry"
_OURS = re.compile(r"^(\s*)from (pipeline|models)(\.[\w.]+)? import ", re.MULTILINE)
_REQUIREMENTS = (
    "numpy", "onnxruntime", "tokenizers", "safetensors", "opencc", "emoji", "phonenumbers", "python-stdnum", "jieba",
    "pandas",
)  # fmt: skip
_DATA = ("normalizer_golden.jsonl",)


def log_pyfunc(bundle: ModelBundle, *, run_id: str, uri: str) -> tuple[str, str]:
    """Log the bundle to a run as a pyfunc model; returns its `models:/m-…` address and its id there."""
    mlflow.set_tracking_uri(uri)
    with TemporaryDirectory() as folder, mlflow.start_run(run_id=run_id), _importable(folder):
        package = write_runtime(Path(folder))
        # MLflow names an artifact after its folder, whatever that is called here.
        shutil.copytree(bundle.path, Path(folder) / "bundle")
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(folder) / "entry.py"),
            artifacts={"bundle": str(Path(folder) / "bundle")},
            code_paths=[str(Path(folder) / package)],
            pip_requirements=[f"{name}=={version(name)}" for name in _REQUIREMENTS] + [f"mlflow=={mlflow.__version__}"],
            signature=signature(bundle.schema),
        )
    return str(info.model_uri), str(info.model_id)


def signature(schema: LabelSchema) -> ModelSignature:
    """Text in; out the columns of `fankui score`."""
    kinds = {"number": DataType.double, "integer": DataType.long, "flag": DataType.boolean}
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(kinds.get(kind, DataType.string), name, required=False) for name, kind in column_kinds(schema)
    ]
    return ModelSignature(inputs=Schema([ColSpec(DataType.string, "text")]), outputs=Schema(outputs))


def write_runtime(folder: Path) -> str:
    """Write `entry.py` and the private package into `folder`; returns the package's name."""
    sources = {module: _path(module).read_text(encoding="utf-8") for module in sorted(_closure(_ENTRY))}
    digest = hashlib.sha256("\0".join(sources.values()).encode()).hexdigest()[:12]
    package = f"fankui_runtime_{digest}"
    for module, source in sources.items():
        rewritten = _OURS.sub(rf"\1from {package}.\2\3 import ", source)
        if module == _ENTRY:
            (folder / "entry.py").write_text(rewritten, encoding="utf-8")
            continue
        target = folder / package / Path(*module.split(".")).with_suffix(".py")
        target.parent.mkdir(parents=True, exist_ok=True)
        (target.parent / "__init__.py").touch()
        target.write_text(rewritten, encoding="utf-8")
    (folder / package / "__init__.py").touch()
    data = folder / package / "data"
    data.mkdir()
    for name in _DATA:
        (data / name).write_bytes(shipped("data", name).read_bytes())
    return package


@contextmanager
def _importable(folder: str) -> Iterator[None]:
    """MLflow runs the entry file once while it saves it, so the private package must be found for that long."""
    sys.path.insert(0, folder)
    try:
        with warnings.catch_warnings():
            # An example would be somebody's comment; the signature is written by hand.
            warnings.filterwarnings("ignore", message=".*input example was not provided", category=UserWarning)
            yield
    finally:
        sys.path.remove(folder)
        for module in [name for name in sys.modules if name.startswith("fankui_runtime_")]:
            del sys.modules[module]


def _closure(start: str) -> set[str]:
    """All modules of ours that `start` imports, directly or not, at its top or inside a function."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting.extend(_imports(module))
    return seen


def _imports(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(_path(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("pipeline", "models"):
            # `from pipeline import spelling` names its modules behind the import.
            whole = "." in str(node.module)
            yield from [str(node.module)] if whole else [f"{node.module}.{alias.name}" for alias in node.names]


def _path(module: str) -> Path:
    room, _, name = module.partition(".")
    return Path(str(files(room))) / f"{name}.py"
