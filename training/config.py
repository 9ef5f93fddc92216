"""What a training may be told: a profile's defaults, a TOML file, options, `--set key=value`; the later wins.

An unknown key is refused, and the resolved settings are printed, kept in the bundle (config.json) and tracked.
"""

import json
import tomllib
import types
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pipeline.errors import ConfigError
from training.baseline import LinearSettings

ModelKind = Literal["network", "linear", "joint"]
Profile = Literal["quick", "full"]

SHIPPED, NONE = "shipped", "none"
"""Values of `network.encoder` that are no place."""


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """The network and how it is trained. The second block builds an encoder anew and is read with `none` only."""

    encoder: str = SHIPPED  # `shipped`, `none` (random weights), a local folder, or a name on the hub with `revision`
    revision: str | None = None  # a commit, 40 hexadecimal digits
    start: str | None = None  # a model whose encoder, and heads of like tasks, it goes on from, instead of `encoder`

    layers: int = 4
    hidden: int = 256  # a multiple of 64, the width of an attention head
    min_count: int = 2  # rarer characters are unknown, so that the unknown token is learnt
    vocabulary: int = 12_000  # tokens at most

    max_tokens: int = 256
    pooling: Literal["mean", "cls"] = "mean"
    dropout: float = 0.1

    epochs: int = 4
    patience: int = 2  # epochs without a better dev figure before it stops
    batch_size: int = 32  # rows of a step; several processes share them
    learning_rate: float = 4e-4
    weight_decay: float = 0.01
    warmup: float = 0.1  # share of all steps
    clip: float = 1.0  # greatest norm of a gradient
    class_weight: Literal["balanced", "effective", "none"] = "effective"
    layer_decay: float = 1.0  # of the learning rate, from each layer to the one below
    adversarial: float = 0.0  # distance by which a second pass moves the embeddings; 0: no second pass
    consistency: float = 0.0  # weight of the disagreement of two passes; 0: one pass
    averaging: float = 0.0  # share of the average of the weights that is kept at every step; 0: no average
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: bf16 where there is hardware for it
    checkpoint_steps: int = 200


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training."""

    train: tuple[Path, ...] = ()
    dev: Path | None = None
    test: Path | None = None
    schema: Path | None = None  # None: the shipped one
    model: ModelKind = "joint"
    profile: Profile = "full"
    name: str = "fankui"
    about: str = ""  # for the card: where the rows are from and how their labels came about
    output: Path | None = None  # None: a new folder under runs/
    seed: int = 7
    text_column: str = "text"
    label_columns: tuple[str, ...] = ()  # TASK=COLUMN, where a column is not named like its task
    calibration: float = 0.1  # share of the training rows held out to calibrate on
    precision_wanted: float = 0.9  # of answers in the zone `auto`
    near_duplicates: bool = True  # also near-duplicates of dev and test leave the training rows, not only copies
    resume: bool = False
    track: bool = True  # a run in MLflow
    register: bool = True  # and a version in its registry
    network: NetworkSettings = field(default_factory=NetworkSettings)
    linear: LinearSettings = field(default_factory=LinearSettings)

    def parts(self) -> tuple[str, ...]:
        """The tables of settings that the chosen model reads."""
        return _parts(self.model)

    @property
    def held_out(self) -> float:
        """Share of the training rows that only calibrate: none where folds let every row do both."""
        return 0.0 if self.model == "linear" and self.linear.folds else self.calibration

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form with the chosen model's settings only, and file names instead of paths."""
        body = {
            key: value for key, value in asdict(self).items() if key not in ("network", "linear", "output", "resume")
        }
        body |= {part: asdict(getattr(self, part)) for part in self.parts()}
        return {key: _plain(value) for key, value in body.items()}

    def essence(self) -> dict[str, Any]:
        """What the fitted weights depend on, beside the rows: the same essence can be gone on from after a kill."""
        tables = {part: _plain(asdict(getattr(self, part))) for part in self.parts()}
        return {"model": self.model, "seed": self.seed, **tables}


# A network that starts from nothing wants large steps and many epochs; a pre-trained one is spoilt by them.
# quick, on 850 short rows, dev mean of the four headline figures after 10 to 12 epochs on one core: two layers 0.43 at
# 1e-3 and 0.50 at 3e-3 in 26 s; one layer with more dropout 0.52 in 16 s.
# full, on 5,369 real comments after 1, 2, 3 epochs: 4 layers of 256 at 5e-4 0.38, 0.57, 0.62; 2 layers at 2e-3, which
# were ahead on 1,500 rows, 0.40, 0.52, 0.51.
_QUICK = {"layers": 1, "hidden": 128, "dropout": 0.2, "epochs": 12, "learning_rate": 3e-3, "max_tokens": 128}
_PROFILES: Mapping[tuple[Profile, str], Mapping[str, Any]] = {
    ("quick", NONE): _QUICK,
    ("full", NONE): {"epochs": 8, "patience": 4, "learning_rate": 5e-4},
    ("quick", SHIPPED): {"epochs": 4, "learning_rate": 5e-4, "max_tokens": 128},
    ("full", SHIPPED): {},
    ("quick", "foreign"): {"epochs": 2, "learning_rate": 5e-5, "max_tokens": 128},
    ("full", "foreign"): {"epochs": 5, "learning_rate": 3e-5},
}


def resolve(options: Mapping[str, Any], *, file: Path | None = None, overrides: Sequence[str] = ()) -> TrainConfig:
    """The settings of one training.

    `options` are nested as TrainConfig is, None meaning not given; `file` is TOML of the same form; `overrides` are
    `key=value`, with `network.` or `linear.` before a model's own keys, or without where the name is clear.
    Raises ConfigError `setting_unknown`, `setting_invalid` or `config_unreadable`.
    """
    layers = [_read(file) if file else {}, _given(options)]
    chosen = _merged(layers)
    layers.append(_parsed(overrides, model=chosen.get("model", "joint")))
    body = _merged(layers)
    network = dict(_table(body, "network"))
    body["network"] = {**_profile(body, network), **network}
    config: TrainConfig = _build(TrainConfig, body, prefix="")
    _check(config)
    return config


def to_toml(config: TrainConfig) -> str:
    """The resolved settings as TOML, for people to read and to give back with --config."""
    flat, tables = [], []
    for key, value in config.to_dict().items():
        if isinstance(value, Mapping):
            tables += ["", f"[{key}]", *(f"{k} = {_literal(v)}" for k, v in value.items() if v is not None)]
        elif value is not None:
            flat.append(f"{key} = {_literal(value)}")
    return "\n".join([*flat, *tables])


def _profile(body: Mapping[str, Any], network: Mapping[str, Any]) -> Mapping[str, Any]:
    profile: Any = body.get("profile", "full")
    encoder = SHIPPED if network.get("start") else network.get("encoder", SHIPPED)
    found = _PROFILES.get((profile, encoder if encoder in (SHIPPED, NONE) else "foreign"))
    if found is None:
        raise ConfigError("setting_invalid", f"profile is one of quick, full; found {profile!r}")
    return found


def _parts(model: str) -> tuple[str, ...]:
    return ("network", "linear") if model == "joint" else (model,)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError("config_unreadable", f"--config {file} does not exist") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("config_unreadable", f"--config {file} is not valid TOML: {error}") from None


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: _given(value) if isinstance(value, Mapping) else value for key, value in options.items()}
    return {key: value for key, value in kept.items() if value is not None and value != {}}


def _merged(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if isinstance(value, Mapping) and isinstance(body.get(key), Mapping):
                body[key] = {**body[key], **value}
            else:
                body[key] = value
    return body


def _parsed(overrides: Sequence[str], *, model: str) -> dict[str, Any]:
    """`key=value` strings as a nested table; a bare key that only the chosen model has goes to its table.

    Raises ConfigError `setting_invalid` for a bare key of both halves of a joint model.
    """
    tables = {"network": NetworkSettings, "linear": LinearSettings}
    own = {name: tables[name] for name in _parts(model) if name in tables}
    body: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ConfigError("setting_invalid", f"--set takes key=value; found {override!r}")
        table, dot, name = key.rpartition(".")
        owners = [part for part, settings in own.items() if key in _names(settings)]
        if not dot and key not in _names(TrainConfig) and owners:
            if len(owners) > 1:
                clear = " or ".join(f"{owner}.{key}" for owner in owners)
                raise ConfigError("setting_invalid", f"both parts of a joint model have {key!r}; write {clear}")
            table, name = owners[0], key
        target = body.setdefault(table, {}) if table else body
        target[name] = _value(text.strip())
    return body


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a bare word or path


def _build(cls: type[Any], body: Mapping[str, Any], *, prefix: str) -> Any:
    hints = get_type_hints(cls)
    found = {}
    for key, value in body.items():
        if key not in _names(cls):
            known = ", ".join(_names(cls))
            raise ConfigError("setting_unknown", f"unknown setting {prefix + key!r}; known: {known}")
        if key in ("network", "linear"):
            found[key] = _build(hints[key], _table(body, key), prefix=f"{key}.")
        else:
            found[key] = _convert(prefix + key, hints[key], value)
    return cls(**found)


def _table(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = body.get(key, {})
    if not isinstance(table, Mapping):
        raise ConfigError("setting_invalid", f"{key} is a table of settings; found {table!r}")
    return table


def _convert(name: str, hint: Any, value: Any) -> Any:
    """The value as the annotation wants it, or ConfigError `setting_invalid`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return None if value is None else _convert(name, next(a for a in arguments if a is not type(None)), value)
    if origin is tuple and isinstance(value, list | tuple) and (arguments[-1] is ... or len(value) == len(arguments)):
        return tuple(_convert(name, arguments[0], entry) for entry in value)
    if origin is Literal:
        if value in arguments:
            return value
        raise ConfigError("setting_invalid", f"{name} is one of {', '.join(map(str, arguments))}; found {value!r}")
    # type(), not isinstance(): True is an int and would pass for 1.
    also: dict[Any, tuple[type, ...]] = {Path: (str, type(Path())), float: (int,), str: (int, float)}
    accepted = (hint, *also.get(hint, ()))
    if type(value) not in accepted:
        wanted = getattr(hint, "__name__", str(hint))
        raise ConfigError("setting_invalid", f"{name} is of type {wanted}; found {value!r}")
    return hint(value)


def _check(config: TrainConfig) -> None:
    network = config.network
    limits = [
        ("calibration", config.calibration, 0.0, 0.5),
        ("precision_wanted", config.precision_wanted, 0.5, 1.0),
        ("network.layers", network.layers, 1, 48),
        ("network.hidden", network.hidden, 64, 4096),
        ("network.max_tokens", network.max_tokens, 8, 8192),
        ("network.dropout", network.dropout, 0.0, 0.9),
        ("network.epochs", network.epochs, 1, 1000),
        ("network.patience", network.patience, 1, 1000),
        ("network.batch_size", network.batch_size, 1, 4096),
        ("network.learning_rate", network.learning_rate, 0.0, 1.0),
        ("network.warmup", network.warmup, 0.0, 1.0),
        ("network.layer_decay", network.layer_decay, 0.1, 1.0),
        ("network.adversarial", network.adversarial, 0.0, 100.0),
        ("network.consistency", network.consistency, 0.0, 100.0),
        ("network.averaging", network.averaging, 0.0, 0.99999),
        ("network.checkpoint_steps", network.checkpoint_steps, 1, 1_000_000),
        ("linear.max_features", config.linear.max_features, 1, 10_000_000),
        ("linear.strength", config.linear.strength, 1e-6, 1e6),
        ("linear.folds", config.linear.folds, 0, 100),
    ]
    for name, value, least, most in limits:
        if not least <= value <= most:
            raise ConfigError("setting_invalid", f"{name} is between {least} and {most}; found {value}")
    if network.hidden % 64:
        raise ConfigError("setting_invalid", f"network.hidden is a multiple of 64; found {network.hidden}")


def _names(cls: type[Any]) -> list[str]:
    return [entry.name for entry in fields(cls)]


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.name
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, tuple | list) else value


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_literal(entry) for entry in value)}]"
    # A string in JSON's form is one in TOML's too.

    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
