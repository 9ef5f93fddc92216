"""A model on disk: a folder of plain files under a manifest of their sha256, written whole or not at all, no pickle.

    manifest.json     kind, name, text contract, schema digest, every other file's size and sha256; written last
    schema.json  calibration.json  config.json  metrics.json  card.md
    linear:   vocabulary.json  weights.safetensors
    network:  model.onnx  model.safetensors  tokenizer.json  encoder.json, and engine.onnx where it runs in 8 bits
    joint:    the files of both

`open_bundle` refuses a folder in which anything differs from its manifest, before any other file is parsed.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.calibration import Calibration
from pipeline.atomic import atomic_folder
from pipeline.errors import BundleError
from pipeline.prepare import TextContract, text_contract, verify_contract
from pipeline.schema import LabelSchema, schema_from_dict

FORMAT = 1
MANIFEST = "manifest.json"
COMMON_FILES = ("schema.json", "calibration.json", "config.json", "metrics.json", "card.md")
_LINEAR = ("vocabulary.json", "weights.safetensors")
_NETWORK = ("model.onnx", "model.safetensors", "tokenizer.json", "encoder.json")
KIND_FILES = {"linear": _LINEAR, "network": _NETWORK, "joint": (*_LINEAR, *_NETWORK)}
ENGINE = "engine.onnx"
_OPTIONAL = {"linear": frozenset[str](), "network": frozenset({ENGINE}), "joint": frozenset({ENGINE})}
_MANIFEST_LIMIT = 1 << 20  # bytes; a real one has about 2,000


@dataclass(frozen=True)
class ModelBundle:
    """An opened folder whose files were all found to be what the manifest says."""

    path: Path
    manifest: Mapping[str, Any]
    schema: LabelSchema
    calibration: Calibration

    @property
    def kind(self) -> str:
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    @property
    def digest(self) -> str:
        """sha256 over everything that the manifest says, and so over every file."""
        return str(self.manifest["digest"])

    @property
    def version(self) -> str:
        return f"{self.name}@{self.digest[:12]}"

    def has(self, file: str) -> bool:
        """Whether the manifest lists the file; only `engine.onnx` may be missing."""
        return file in self.manifest["files"]

    def model_files(self) -> dict[str, Path]:
        """The files of the model itself, by name: all but the manifest and those that every bundle has."""
        return {name: self.path / name for name in self.manifest["files"] if name not in COMMON_FILES}

    def read(self, file: str) -> bytes:
        return (self.path / file).read_bytes()

    def json(self, file: str) -> Any:
        """A JSON file's content; BundleError `bundle_unreadable` names the file."""
        return _json(self.path / file)


def refuse_existing(folder: Path) -> None:
    """Raise BundleError `bundle_exists` where a new bundle has no place."""
    if folder.exists():
        raise _existing(folder)


def _existing(folder: Path) -> BundleError:
    return BundleError("bundle_exists", f"{folder} exists already; a bundle is never changed, name another folder")


def write_bundle(
    folder: Path,
    *,
    kind: str,
    name: str,
    schema: LabelSchema,
    calibration: Calibration,
    files: Mapping[str, Path | bytes],
    metrics: Mapping[str, float],
    card: str,
) -> ModelBundle:
    """Write a new bundle at `folder`, which must not exist, and open it again as anybody else would.

    `files` are those that the kind of model needs (see above) and config.json. Raises BundleError.
    """
    contents: dict[str, Path | bytes] = dict(files)
    contents["schema.json"] = _dump(schema.to_dict())
    contents["calibration.json"] = _dump(calibration.to_dict())
    contents["metrics.json"] = _dump(dict(sorted(metrics.items())))
    contents["card.md"] = card.encode()
    _check_names(kind, name, set(contents))
    try:
        with atomic_folder(folder) as temporary:
            for file, content in sorted(contents.items()):
                if isinstance(content, Path):
                    shutil.copyfile(content, temporary / file)
                else:
                    (temporary / file).write_bytes(content)
            manifest = _manifest(temporary, kind=kind, name=name, schema=schema)
            (temporary / MANIFEST).write_bytes(_dump(manifest))
    except FileExistsError:
        raise _existing(folder) from None
    return open_bundle(folder, schema=schema)


def open_bundle(folder: Path, *, schema: LabelSchema | None = None) -> ModelBundle:
    """Open a bundle after checking every file against the manifest; with `schema`, its labels must be the same.

    Raises BundleError whose message names the file.
    """
    manifest = _read_manifest(folder)
    _check_folder(folder, manifest["files"])
    for file, entry in manifest["files"].items():
        size = (folder / file).stat().st_size
        if size != entry["size"]:  # tells a download that broke off without reading what came
            raise BundleError(
                "bundle_altered",
                f"{folder / file} has {size} bytes, and {entry['size']} in {MANIFEST}; restore the bundle",
            )
    for file, entry in manifest["files"].items():
        if _sha256(folder / file) != entry["sha256"]:
            raise BundleError(
                "bundle_altered", f"{folder / file} is not the file that {MANIFEST} names; restore the bundle"
            )
    _check_names(manifest["kind"], manifest["name"], set(manifest["files"]))
    _verify_text(manifest["text"])
    held = schema_from_dict(_json(folder / "schema.json"))
    if held.digest != manifest["schema"]:
        raise BundleError("bundle_altered", f"{folder / 'schema.json'} has other labels than {MANIFEST} says")
    if schema is not None and schema.digest != held.digest:
        raise BundleError("schema_mismatch", _mismatch(folder, held, schema))
    calibration = Calibration.from_dict(_json(folder / "calibration.json"), held)
    return ModelBundle(folder, manifest, held, calibration)


def _manifest(folder: Path, *, kind: str, name: str, schema: LabelSchema) -> dict[str, Any]:
    files = {file.name: {"sha256": _sha256(file), "size": file.stat().st_size} for file in sorted(folder.iterdir())}
    body = {
        "format": FORMAT,
        "kind": kind,
        "name": name,
        "text": asdict(text_contract()),
        "schema": schema.digest,
        "files": files,
    }
    return body | {"digest": _digest(body)}


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not folder.is_dir():
        raise BundleError("bundle_missing", f"no model folder at {folder}; give the folder that holds {MANIFEST}")
    if path.is_symlink() or not path.is_file():
        raise BundleError(
            "bundle_incomplete", f"{folder} has no {MANIFEST}: it is no bundle, or was not written to its end"
        )
    if path.stat().st_size > _MANIFEST_LIMIT:
        raise BundleError("bundle_unreadable", f"{path} is larger than {_MANIFEST_LIMIT} bytes")
    manifest = _json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise BundleError("bundle_format", f"{path}: this program reads format {FORMAT}; found {found!r}")
    if not _well_formed(manifest):
        raise BundleError(
            "bundle_unreadable", f"{path}: kind, name, text, schema, files or digest is missing or malformed"
        )
    if manifest["digest"] != _digest({key: value for key, value in manifest.items() if key != "digest"}):
        raise BundleError("bundle_altered", f"{path} does not fit its own digest; restore the bundle")
    return manifest


def _well_formed(manifest: Mapping[str, Any]) -> bool:
    files = manifest.get("files")
    return (
        set(manifest) == {"format", "kind", "name", "text", "schema", "files", "digest"}
        and all(isinstance(manifest[key], str) for key in ("kind", "name", "schema", "digest"))
        and isinstance(manifest["text"], dict)
        and isinstance(files, dict)
        and all(
            isinstance(entry, dict) and isinstance(entry.get("sha256"), str) and isinstance(entry.get("size"), int)
            for entry in files.values()
        )
    )


def _check_folder(folder: Path, listed: Mapping[str, Any]) -> None:
    for file in listed:
        if Path(file).name != file or file in ("", ".", "..") or "\\" in file:
            raise BundleError("bundle_path", f"{MANIFEST} names {file!r}, which is not a plain file of the bundle")
    for found in sorted(folder.iterdir()):
        if found.is_symlink():
            raise BundleError("bundle_symlink", f"{found} is a symbolic link; a bundle holds plain files only")
        if found.name not in listed and found.name != MANIFEST:
            raise BundleError("bundle_unlisted", f"{found} is not listed in {MANIFEST}; a bundle holds nothing else")
    for file in listed:
        if not (folder / file).is_file():
            raise BundleError("bundle_incomplete", f"{folder / file} is missing, though {MANIFEST} lists it")


def check_name(name: str) -> None:
    """Raise BundleError `bundle_name`: a name becomes a folder under the champion's home and may not walk out of it."""
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    if not (plain.isascii() and plain.isalnum() and len(name) <= 64) or name.startswith("."):
        raise BundleError(
            "bundle_name", f"a model's name is up to 64 ASCII letters, digits, - _ .; found {name[:80]!r}"
        )


def _check_names(kind: str, name: str, files: set[str]) -> None:
    if kind not in KIND_FILES:
        raise BundleError("bundle_kind", f"a bundle's kind is one of {', '.join(KIND_FILES)}; found {kind!r}")
    check_name(name)
    needed = set(COMMON_FILES) | set(KIND_FILES[kind])
    if files - _OPTIONAL[kind] != needed:
        wrong = ", ".join(sorted((files - _OPTIONAL[kind]) ^ needed))
        raise BundleError(
            "bundle_files", f"a {kind} bundle holds {', '.join(sorted(needed))}; too many or missing: {wrong}"
        )


def _verify_text(text: Mapping[str, Any]) -> None:
    try:
        contract = TextContract(**text)
    except TypeError:
        raise BundleError(
            "bundle_unreadable", f"{MANIFEST}: 'text' names other things than normalizer, mask, digest"
        ) from None
    verify_contract(contract)


def _mismatch(folder: Path, held: LabelSchema, wanted: LabelSchema) -> str:
    ours = {task.name: task for task in wanted.tasks}
    for task in held.tasks:
        if task.name not in ours or (ours[task.name].kind, ours[task.name].keys) != (task.kind, task.keys):
            return f"{folder} was trained for other labels: task {task.name!r} differs from the schema that was given"
    return f"{folder} was trained for other tasks: {', '.join(task.name for task in held.tasks)}"


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise BundleError("bundle_unreadable", f"{path} is not valid JSON") from None


def _dump(data: Any) -> bytes:
    return (json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
