"""`fankui quickstart`: the whole way of a model on the shipped samples, in a few minutes and without a network."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from training.compare import Comparison
    from training.gate import Verdict
    from training.progress import Progress
    from training.train import TrainResult

NAME = "fankui-quickstart"
COMMENTS = (
    "快递三天没到，打客服电话也没人接，太差了",
    "充电宝插上就冒烟，把桌子都熏黑了，你们管不管？",
    "房间干净，前台小姐姐特别热情，下次还住这家",
)


@dataclass(frozen=True)
class Contest:
    """Two trained models, how they compare on the test rows, and what the gate says of the better one."""

    linear: "TrainResult"
    network: "TrainResult"
    comparison: "Comparison"  # network against linear
    better: "TrainResult"
    verdict: "Verdict"


def quickstart(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train the linear model and the network on the shipped samples, compare them, promote the better, score comments.

    Everything is written under the working directory: runs/, mlflow.db, mlartifacts/, .fankui/.

    Example: `fankui quickstart`
    """
    from training.progress import Terminal

    progress = Terminal()
    contest = hold(progress)
    if as_json:
        typer.echo(json.dumps(_document(contest), ensure_ascii=False))
    else:
        _show(contest)
    contest.verdict.require()


def hold(progress: "Progress") -> Contest:
    """Train both, measure them on the same test rows, promote the better one if it passes the gate."""
    from models.champion import fankui_home
    from models.loading import load_predictor
    from models.promotion import align_registry, promote
    from pipeline.columns import read_examples
    from pipeline.resources import shipped
    from pipeline.schema import load_schema
    from training.compare import compare
    from training.config import resolve
    from training.gate import Figures, check_gate, load_gate
    from training.scored import score_examples
    from training.train import train

    samples = shipped("data", "samples")
    files = {"train": (samples / "train.jsonl",), "dev": samples / "dev.jsonl", "test": samples / "test.jsonl"}
    options = {**files, "name": NAME, "profile": "quick"}
    results = []
    for model in ("linear", "network"):
        progress.say(f"training the {model} model on {samples}")
        results.append(train(resolve({**options, "model": model}), progress=progress))
    linear, network = (_present(result) for result in results)
    # Dev chooses; test only tells how good the chosen one is.
    better, other = (network, linear) if _dev_score(network) > _dev_score(linear) else (linear, network)
    examples = read_examples(samples / "test.jsonl", load_schema())
    scored = {id(result): score_examples(load_predictor(result.bundle.path), examples) for result in (linear, network)}
    comparison = compare(scored[id(linear)], scored[id(network)])
    sides = (scored[id(better)], scored[id(other)])
    mine, theirs = (Figures(side.model_version, side.schema, side.metrics("test")) for side in sides)
    verdict = check_gate(mine, theirs, load_gate())
    if verdict.passed:
        champion = promote(f"models:/{better.version}", home=fankui_home())
        progress.say(f"champion here is now {champion.name}/{champion.version}")
        warning = align_registry(fankui_home(), repair=f"fankui rollback --to {champion.name}/{champion.version}")
        if warning:
            progress.say(warning)
    return Contest(linear, network, comparison, better, verdict)


def _present(result: "TrainResult | None") -> "TrainResult":
    # train() answers None only in the further processes of a torchrun, which a quick start never is.
    if result is None:
        raise RuntimeError("quickstart runs in one process")
    return result


def _dev_score(result: "TrainResult") -> float:
    """Mean of the tasks' headline figures on dev."""
    from training.metrics import HEADLINE

    report = result.reports["dev"]
    found = [report.figure(task.name, HEADLINE[task.kind]) for task in result.bundle.schema.tasks]
    values = [value for value in found if value is not None]
    return sum(values) / len(values)


def _document(contest: Contest) -> dict[str, object]:
    return {
        "linear": contest.linear.bundle.version,
        "network": contest.network.bundle.version,
        "champion": contest.better.version if contest.verdict.passed else None,
        "comparison": contest.comparison.to_dict(),
        "gate": contest.verdict.to_dict(),
    }


def _show(contest: Contest) -> None:
    from rich.console import Console

    from models.cli import score
    from models.registry import tracking_uri
    from training.report_tables import print_comparison, print_verdict

    console = Console()
    console.rule("linear model and network on the same test rows")
    print_comparison(contest.comparison, console=console)
    print_verdict(contest.verdict, console=console)
    if contest.verdict.passed:
        console.rule(f"three comments, scored by {contest.better.version}")
        score(list(COMMENTS), as_text=True)
    console.rule("where to look")
    report = Path(contest.better.folder) / "report" / "card.md"
    console.print(f"runs and versions   mlflow ui --backend-store-uri {tracking_uri()}", soft_wrap=True)
    console.print(f"report and plots    {report}", soft_wrap=True)
    console.print("score a comment     fankui score '等了两个小时外卖还没到'", soft_wrap=True)
    console.print("serve over HTTP     fankui serve", soft_wrap=True)
    console.print(
        "The champion in ./.fankui learnt from 900 rows only; `--model default` is the better model that ships along.",
        style="dim",
    )
