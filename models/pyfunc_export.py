"""A bundle as an MLflow model that loads anywhere with plain `mlflow.pyfunc.load_model`.

The few modules of ours that scoring needs travel with it under a private package name that carries a
digest of their source: two versions with different code live side by side in one process, and neither
clashes with anybody's own `models`.
"""

import ast
import hashlib
import re
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

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


def log_pyfunc(bundle: ModelBundle, *, run_id: str, uri: str) -> str:
    """Log the bundle to a run as a pyfunc model and return its `models:/m-…` address."""
    mlflow.set_tracking_uri(uri)
    with TemporaryDirectory() as folder, mlflow.start_run(run_id=run_id):
        package = write_runtime(Path(folder))
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(folder) / "entry.py"),
            artifacts={"bundle": str(bundle.path)},
            code_paths=[str(Path(folder) / package)],
            pip_requirements=[f"{name}=={version(name)}" for name in _REQUIREMENTS] + [f"mlflow=={mlflow.__version__}"],
            signature=signature(bundle.schema),
        )
    return str(info.model_uri)


def signature(schema: LabelSchema) -> ModelSignature:
    """Text in; out the columns of `fankui score`."""
    kinds = {"number": DataType.double, "integer": DataType.long, "flag": DataType.boolean}
    outputs = [ColSpec(kinds.get(kind, DataType.string), name, required=False) for name, kind in column_kinds(schema)]
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
            yield str(node.module)


def _path(module: str) -> Path:
    room, _, name = module.partition(".")
    return Path(str(files(room))) / f"{name}.py"
