"""What several files of one command share: the model at work, and the answers that it gave already."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.answer_cache import AnswerCache
from models.batch_scoring import ScoreOptions, Scorer
from models.batch_workers import InProcess, Pool, WorkerProcesses, WorkerSetting
from models.loading import ResolvedModel
from models.predictor import BundlePredictor
from pipeline.cores import usable_cores
from pipeline.routing import RoutingPolicy

# A worker takes about a second to start; in so many bytes lie some thousand comments, which take longer than that.
_FEW_BYTES = {".parquet": 1 << 18, ".xlsx": 1 << 18}
_FEW_BYTES_OF_TEXT = 1 << 20


@dataclass(frozen=True, slots=True)
class Session:
    """Model, policy and options; who scores; and the cache, None where it is switched off."""

    scorer: Scorer
    pool: Pool
    cache: AnswerCache | None


@contextmanager
def scoring_session(
    predictor: BundlePredictor,
    policy: RoutingPolicy,
    options: ScoreOptions | None = None,
    *,
    model: ResolvedModel | None = None,
    workers: int = 1,
    cached: bool = True,
) -> Iterator[Session]:
    """A session whose processes are ended with it. More than one worker needs `model`, where the predictor is from.

    A script of one's own that asks for several workers needs the usual `if __name__ == "__main__":`.
    """
    options = options or ScoreOptions()
    scorer = Scorer(predictor, policy, options)
    pool: Pool = InProcess(scorer)
    if workers > 1 and model is not None:
        pool = WorkerProcesses(WorkerSetting(model, predictor.model_version, policy, options), workers)
    # Evidence points into the raw text, so that no two texts share it.
    cache = AnswerCache(scorer.layout.dtype) if cached and not options.explain else None
    try:
        yield Session(scorer, pool, cache)
    except BaseException:
        pool.close(at_once=True)
        raise
    pool.close(at_once=False)


def worker_count(files: Sequence[Path], *, cores: int | None = None) -> int:
    """How many processes pay for themselves: one for small files, else one a core."""
    sizes = ((file.stat().st_size, _FEW_BYTES.get(file.suffix.lower(), _FEW_BYTES_OF_TEXT)) for file in files)
    share = sum(size / few for size, few in sizes)
    return 1 if share < 1 else cores or usable_cores()
