"""`fankui quickstart`: the whole way of a model on the shipped samples, in a few minutes and without a network."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

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
    promoted: bool
    unpromoted: str | None  # why not, where it passed the gate


def quickstart(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train the linear model and the network on the shipped samples, compare them, promote the better, score comments.

    Written under the working directory: runs/, and mlflow.db, mlartifacts/ and .fankui/ unless MLFLOW_TRACKING_URI and
    FANKUI_HOME name other places. A champion of another name that is there is not replaced.

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
    """Train both, measure them on the same test rows, promote the better one if it passes the gate and may be."""
    from models.champion import fankui_home
    from models.loading import load_predictor
    from pipeline.columns import read_examples
    from pipeline.resources import shipped
    from pipeline.schema import load_schema
    from training.compare import compare
    from training.config import NONE, resolve
    from training.gate import Figures, check_gate, load_gate
    from training.scored import score_examples
    from training.train import train

    taken(fankui_home())  # a pointer that cannot be read is told before minutes of training
    samples = shipped("data", "samples")
    files = {"train": (samples / "train.jsonl",), "dev": samples / "dev.jsonl", "test": samples / "test.jsonl"}
    options = {**files, "name": NAME, "profile": "quick"}
    results = []
    for model in ("linear", "network"):
        progress.say(f"training the {model} model on {samples}")
        # From random weights: the shipped encoder has learnt from these very rows, so that it would look too sure.
        settings = {**options, "model": model, "network": {"encoder": NONE}}
        results.append(train(resolve(settings), progress=progress))
    linear, network = (_present(result) for result in results)
    # Dev chooses; test only tells how good the chosen one is.
    better, other = (network, linear) if _dev_score(network) > _dev_score(linear) else (linear, network)
    examples = read_examples(samples / "test.jsonl", load_schema())
    scored = {id(result): score_examples(load_predictor(result.bundle.path), examples) for result in (linear, network)}
    comparison = compare(scored[id(linear)], scored[id(network)])
    sides = (scored[id(better)], scored[id(other)])
    mine, theirs = (Figures(side.model_version, side.schema, side.metrics("test")) for side in sides)
    verdict = check_gate(mine, theirs, load_gate())
    unpromoted = settle(f"models:/{better.version}", home=fankui_home(), progress=progress) if verdict.passed else None
    return Contest(linear, network, comparison, better, verdict, verdict.passed and unpromoted is None, unpromoted)


def taken(home: Path) -> str | None:
    """Why nothing may be promoted here: somebody's own champion is in use. Raises BundleError for a spoilt pointer."""
    from models.champion import read_champion

    champion = read_champion(home)
    if champion is None or champion.name == NAME:
        return None
    return f"{home} has a champion already, {champion.name}/{champion.version}, which a quick start does not replace"


def settle(model: str, *, home: Path, progress: "Progress") -> str | None:
    """Promote the model, unless another champion is in use; then say why not."""
    from models.promotion import align_registry, promote

    why = taken(home)
    if why is not None:
        progress.say(f"not promoted: {why}")
        return why
    champion = promote(model, home=home)
    progress.say(f"champion here is now {champion.name}/{champion.version}")
    warning = align_registry(home, repair=f"fankui rollback --to {champion.name}/{champion.version}")
    if warning:
        progress.say(warning)
    return None


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
        "better": contest.better.version,
        "champion": contest.better.version if contest.promoted else None,
        "unpromoted": contest.unpromoted,
        "comparison": contest.comparison.to_dict(),
        "gate": contest.verdict.to_dict(),
    }


def _show(contest: Contest) -> None:
    from rich.console import Console

    from models.cli import score
    from training.report_tables import print_comparison, print_verdict

    console = Console()
    console.rule("linear model and network on the same test rows")
    print_comparison(contest.comparison, console=console)
    print_verdict(contest.verdict, console=console)
    if contest.verdict.passed:
        console.rule(f"three comments, scored by {contest.better.version}")
        score(list(COMMENTS), as_text=True, model=f"models:/{contest.better.version}")
    _where_to_look(console, contest)


def _where_to_look(console: "Console", contest: Contest) -> None:
    from models.champion import fankui_home
    from models.registry import tracking_uri, without_password

    uri = without_password(tracking_uri())
    model = "" if contest.promoted else f" --model models:/{contest.better.version}"
    lines = [
        f"runs and versions   {uri if uri.startswith('http') else f'mlflow ui --backend-store-uri {uri}'}",
        f"report and plots    {Path(contest.better.folder) / 'report' / 'card.md'}",
        f"score a comment     fankui score{model} '等了两个小时外卖还没到'",
        f"serve over HTTP     fankui serve{model}",
    ]
    console.rule("where to look")
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if contest.unpromoted:
        console.print(f"Not promoted: {contest.unpromoted}.", style="dim", soft_wrap=True, markup=False)
    if contest.promoted:
        told = f"The champion in {fankui_home()} learnt from 900 rows only; `--model default`"
        console.print(f"{told} is the better model that ships along.", style="dim", soft_wrap=True, markup=False)
