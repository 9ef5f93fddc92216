"""Why a comment has its labels: computed when somebody opens it, in a thread of its own, and kept for a while."""

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from models.predictor import BundlePredictor
from serving.problems import RequestProblem

KEPT = 512
"""Comments whose evidence is kept."""

_WAITING = 8  # at once; each takes some 0.1 s of a core


class EvidenceDesk:
    """Asks the model that answers now, one comment at a time, so that scoring keeps its cores."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fankui-evidence")
        self._kept: OrderedDict[tuple[str, str], list[dict[str, Any]]] = OrderedDict()
        self._waiting = 0

    async def of(self, predictor: BundlePredictor, id: str, text: str) -> list[dict[str, Any]]:  # noqa: A002
        """Spans of a masked text: task, label, start and end in code points, weight.

        Raises RequestProblem `overloaded`, and TextError for a text that cannot be read.
        """
        key = (predictor.model_version, id)  # and no text, which may have to be erased
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if self._waiting >= _WAITING:
            raise RequestProblem("overloaded", "expected fewer comments to be explained at once; try again in a second")
        self._waiting += 1
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, _explain, predictor, text)
        finally:
            self._waiting -= 1
        self._kept[key] = found
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _explain(predictor: BundlePredictor, text: str) -> list[dict[str, Any]]:
    from models.evidence import explain  # brings jieba's dictionary along

    return [
        {"task": one.task, "label": one.label, "start": one.start, "end": one.end, "weight": one.weight}
        for one in explain(predictor, text)
    ]
