"""The front door: one command line, `fankui VERB …`.

A table names the function behind every verb; only the verb that was typed is imported, so that
`fankui --help` answers at once and `fankui score` never loads what trains.
"""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

from pipeline.errors import FeedbackError, GateFailed, UsageError


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: where its function or its sub-application is, and what `fankui --help` says of it."""

    target: str  # "module:attribute"
    help: str
    panel: str
    group: bool = False


_START, _DATA, _TRAIN, _USE = "Start", "Look at data", "Train and choose", "Use"

VERBS = {
    "quickstart": Verb(
        "training.quickstart:quickstart", "Train, compare, promote and score on shipped samples.", _START
    ),
    "data": Verb("pipeline.cli:data_app", "Check, split and count labelled files.", _DATA, group=True),
    "train": Verb("training.cli:train", "Train a model on labelled files, track and register it.", _TRAIN),
    "pretrain": Verb("training.cli_pretrain:pretrain", "Pre-train an encoder on public texts.", _TRAIN),
    "calibrate": Verb("training.cli_calibrate:calibrate", "Fit a model's probabilities to labelled rows.", _TRAIN),
    "quantize": Verb("training.cli_quantize:quantize", "Add a form in 8 bits to a network.", _TRAIN),
    "evaluate": Verb("training.cli_evaluate:evaluate", "Measure a model on a labelled file.", _TRAIN),
    "compare": Verb("training.cli_evaluate:compare", "Set two models side by side on one labelled file.", _TRAIN),
    "promote": Verb("training.cli_promote:promote", "Make a model the champion, if it passes the gate.", _TRAIN),
    "rollback": Verb("models.cli_registry:rollback", "Go back to the previous champion.", _TRAIN),
    "models": Verb("models.cli_registry:models_app", "List and show models.", _TRAIN, group=True),
    "score": Verb("models.cli:score", "Score comments or files.", _USE),
    "route": Verb("models.cli_route:route_app", "Check, explain and try a routing policy.", _USE, group=True),
    "insights": Verb(
        "models.cli_insights:insights_app",
        "Topics, trends, causes, alerts and the weekly report out of scored files.",
        _USE,
        group=True,
    ),
    "serve": Verb("serving.cli:serve", "Score over HTTP.", _USE),
    "feedback": Verb("serving.cli_feedback:feedback_app", "Show and erase comments that are kept.", _USE, group=True),
    "keys": Verb("serving.cli_keys:keys_app", "Say who may use the server.", _USE, group=True),
    "webhooks": Verb("serving.cli_webhooks:webhooks_app", "Say who is told of what happens.", _USE, group=True),
}

# Packages that the base install leaves out -> the extra that brings them. Whoever only uses models needs the registry.
_EXTRAS = dict.fromkeys(
    (
        *("torch", "transformers", "accelerate", "datasets", "sklearn", "scipy", "threadpoolctl"),
        *("datasketch", "onnx", "matplotlib", "pandas"),
    ),
    "train",
) | {"mlflow": "registry", "ray": "ray", "opentelemetry": "otel", "statsmodels": "insights"}
_EXIT_CODES = {UsageError: 2, GateFailed: 3}


def main() -> None:
    """Entry point of the installed command."""
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code: 0 ok, 1 error, 2 usage, 3 gate failed, 130 interrupted."""
    chosen = next((arg for arg in args if not arg.startswith("-")), None)
    try:
        application(chosen)(args=list(args), prog_name="fankui")
    except FeedbackError as error:
        _complain(error.message)
        return next((code for kind, code in _EXIT_CODES.items() if isinstance(error, kind)), 1)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        if chosen in VERBS and VERBS[chosen].target.startswith("training."):
            extra = "train"
        if chosen == "insights":
            extra = "insights"
        _complain(f'this needs {error.name}, which is not installed: pip install ".[{extra}]" in the checkout')
        return 1
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 1
    return 0


def application(chosen: str | None) -> typer.Typer:
    """The command line with `chosen` loaded for real; every other verb is only a line of help."""
    app = typer.Typer(
        help="反馈: Chinese customer feedback, understood and routed.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name, verb in VERBS.items():
        if verb.group:
            group = _load(verb) if name == chosen else typer.Typer(help=verb.help)
            app.add_typer(group, name=name, help=verb.help, rich_help_panel=verb.panel, no_args_is_help=True)
            if name != chosen:
                group.command("…")(_absent)
        else:
            function = _load(verb) if name == chosen else _absent
            short = None if name == chosen else verb.help
            app.command(name, help=short, short_help=verb.help, rich_help_panel=verb.panel)(function)
    return app


def _complain(message: str) -> None:
    typer.echo(f"fankui: {message}", err=True)


def _load(verb: Verb) -> Any:
    module, _, attribute = verb.target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _absent() -> None:
    """Stands in for a verb that was not typed; never called."""


def _show_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"fankui {version('fankui')}")
        except PackageNotFoundError:
            typer.echo("fankui (not installed)")
        raise typer.Exit


def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


if __name__ == "__main__":
    main()
