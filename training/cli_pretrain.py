"""`fankui pretrain`: public texts in, an encoder out that `fankui train --encoder` takes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from training.objectives import Objective
    from training.prefinetune import PrefinetuneSettings
    from training.pretrain import PretrainSettings
    from training.progress import Progress

_LABELS = "labels"
_Corpus = Annotated[Path, typer.Option(help="Tokenized corpus; built from --data where there is none.")]

_Sets = Annotated[
    Path | None, typer.Option(help="TOML table of the sets under datasets/ to read; default: data/public_sets.toml.")
]
_Rate = Annotated[float | None, typer.Option(help="Greatest learning rate. [default: 1.5e-3, with labels 4e-4]")]
_Rows = Annotated[
    int | None, typer.Option(help="Rows of 128 tokens in a step; with labels: texts. [default: 48, with labels 96]")
]


def pretrain(  # noqa: PLR0917
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="Folder of this leg: checkpoints/, and encoder/ when it is done.")],
    minutes: Annotated[float | None, typer.Option(help="Length of the leg; its decay ends with it.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the leg in steps instead.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with datasets/; default: $FANKUI_DATA.")] = None,
    corpus: _Corpus = Path("runs/corpus"),
    sets: _Sets = None,
    init: Annotated[Path | None, typer.Option(help="Encoder to go on from.")] = None,
    train: Annotated[
        list[Path] | None, typer.Option("--train", help="With labels: files of your own labels, learnt along.")
    ] = None,
    objective: Annotated[
        str, typer.Option(help="mlm (masked words), rtd (replaced tokens), or labels (every public label at once).")
    ] = "mlm",
    layers: Annotated[int, typer.Option(help="Layers of a new encoder.")] = 4,
    hidden: Annotated[int, typer.Option(help="Its width, a multiple of 64.")] = 256,
    learning_rate: _Rate = None,
    rows: _Rows = None,
    feedback: Annotated[float, typer.Option(help="Share of the rows that hold feedback.")] = 0.7,
    mask: Annotated[float, typer.Option(help="Share of the words to be guessed.")] = 0.15,
    seed: Annotated[int, typer.Option(help="Of order, masks and weights.")] = 7,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads on a CPU; default: all cores.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: a GPU where there is one.")] = None,
    checkpoint_seconds: Annotated[float, typer.Option(min=0.0, help="Seconds between two checkpoints.")] = 60.0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the leg in --output.")] = False,
    corpus_only: Annotated[bool, typer.Option("--corpus-only", help="Build the corpus and stop.")] = False,
    no_track: Annotated[bool, typer.Option("--no-track", help="Leave MLflow out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Pre-train an encoder on public texts; the texts of dev and of evaluation splits are left out.

    Example: `fankui pretrain --data ../shared --output runs/leg-1 --minutes 60`
    """
    import torch

    from pipeline.errors import UsageError
    from training.leg import LegSettings
    from training.objectives import Shape
    from training.prefinetune import PrefinetuneSettings
    from training.pretrain import PretrainSettings, prepare_corpus
    from training.processes import is_first
    from training.progress import Silent, Terminal

    if threads:
        torch.set_num_threads(threads)
    progress = Terminal() if is_first() else Silent()
    chosen = _objective(objective)
    _refuse_unread(context, labels=chosen is None)
    if chosen is None:
        if init is None:
            raise UsageError("init_missing", "--objective labels goes on from an encoder; name it with --init")
        own = tuple(train or ())
        labels = PrefinetuneSettings(output, init, data=data, sets=sets, train=own, seed=seed, resume=resume)
        with _told(progress):
            _round(labels.with_steps(rows=rows, learning_rate=learning_rate), progress, as_json=as_json)
        return
    leg = LegSettings(minutes=minutes, steps=steps, checkpoint_seconds=checkpoint_seconds)
    settings = PretrainSettings(
        output=output,
        corpus=corpus,
        data=data,
        sets=sets,
        init=init,
        objective=chosen,
        shape=Shape(layers=layers, hidden=hidden),
        leg=leg if learning_rate is None else replace(leg, learning_rate=learning_rate),
        feedback=feedback,
        mask=mask,
        seed=seed,
        device=device,
        resume=resume,
        track=not no_track,
    )
    settings = settings if rows is None else replace(settings, rows=rows)
    if corpus_only:
        prepare_corpus(settings, None, progress=progress)
        return
    with _told(progress):
        _leg(settings, progress, as_json=as_json)


_OF_LEGS = (
    "minutes",
    "steps",
    "corpus",
    "layers",
    "hidden",
    "feedback",
    "mask",
    "device",
    "checkpoint_seconds",
    "corpus_only",
    "no_track",
)
"""Parameters that the round over labels does not read."""


def _refuse_unread(context: typer.Context, *, labels: bool) -> None:
    """Raise UsageError `option_unread` for options that would change nothing."""
    from pipeline.errors import UsageError

    def given(name: str) -> bool:
        source = context.get_parameter_source(name)
        return source is not None and source.name == "COMMANDLINE"

    unread = [f"--{name.replace('_', '-')}" for name in (_OF_LEGS if labels else ("train",)) if given(name)]
    if unread:
        which = "does not read" if labels else "reads, and no other objective:"
        raise UsageError("option_unread", f"--objective labels {which} {', '.join(unread)}; leave out what is not read")


@contextmanager
def _told(progress: "Progress") -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        progress.say("stopped; go on with the same command and --resume")
        raise


def _objective(name: str) -> "Objective | None":
    """The objective of that name; None for the round over labels."""
    from pipeline.errors import UsageError
    from training.objectives import OBJECTIVES

    if name == _LABELS:
        return None
    for objective in OBJECTIVES:
        if name == objective:
            return objective
    known = ", ".join((*OBJECTIVES, _LABELS))
    raise UsageError("objective_unknown", f"--objective is one of {known}; found {name!r}")


def _leg(settings: "PretrainSettings", progress: "Progress", *, as_json: bool) -> None:
    from training.pretrain import pretrain as run

    if result := run(settings, progress=progress):
        _show({"encoder": str(result.encoder), "leg": dict(result.leg), "run_id": result.run_id}, as_json=as_json)


def _round(settings: "PrefinetuneSettings", progress: "Progress", *, as_json: bool) -> None:
    from training.prefinetune import prefinetune

    record = prefinetune(settings, progress=progress)
    if record is not None:
        encoder = settings.output / "encoder"
        _show({"encoder": str(encoder), "leg": dict(record), "run_id": None}, as_json=as_json)


def _show(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    leg = document["leg"]
    typer.echo(f"{leg['steps']:,} steps, {leg['tokens']:,} tokens, {leg['seconds']:.0f} s, losses {leg['losses']}")
    typer.echo(f"encoder  {document['encoder']}")
    typer.echo(f"next     fankui train --train TRAIN --dev DEV --encoder {document['encoder']}")
