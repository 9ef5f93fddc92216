"""The way of rows through the cache and the workers: rows in, finished segments out, a bounded number under way.

Texts that were answered before come from the cache; one that is at a worker already is waited for; the rest is
collected into jobs of thousands, whatever segments they are from, because sorting by length pays only among many.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field

import numpy as np

from models.answer import error_text
from models.answer_cache import AnswerCache, origin_key, prepared_key, raw_key
from models.answer_records import ANSWERED, RecordLayout, Records
from models.batch_rows import Incoming
from models.batch_scoring import Item, Scored
from models.batch_segment import Segment
from models.batch_workers import Pool
from pipeline.errors import FeedbackError, TextError
from pipeline.prepare import Prepared, prepare_whole

MOST_OPEN = 64
"""Segments under way at once; 0.5 MB each with the shipped schema."""

_FEW_OPEN = 8  # from here on a worker that idles gets what there is


@dataclass(eq=False, slots=True)
class _Part:
    """A segment of which some answers may still be missing."""

    first_row: int
    incoming: Incoming
    answers: Records
    evidence: list[str | None] | None
    missing: int = 1  # the one: it is still being taken in
    errors: list[str] = field(default_factory=list)

    def fail(self, row: int, message: str) -> None:
        self.answers["error"][row] = len(self.errors)
        self.errors.append(message)

    def segment(self) -> Segment:
        self.incoming.flag(self.answers)
        return Segment(self.answers, self.incoming.started, self.errors, self.evidence)


@dataclass(eq=False, slots=True)
class _Job:
    """Items, and for each its key in the cache and the rows that wait for it."""

    items: list[Item] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    askers: list[list[tuple[_Part, int]]] = field(default_factory=list)


class Flow:
    """One run's. `cached` counts the rows whose text was answered before, or was asked for at the time."""

    def __init__(
        self, pool: Pool, layout: RecordLayout, *, cache: AnswerCache | None, explain: bool, job_texts: int
    ) -> None:
        self.cached = 0
        self._pool = pool
        self._layout = layout
        self._cache = cache
        self._explain = explain
        self._job_texts = job_texts
        self._job = _Job()
        self._running: dict[Future[Scored], _Job] = {}
        self._waiting: dict[bytes, list[tuple[_Part, int]]] = {}
        self._open: set[_Part] = set()
        self._ready: deque[_Part] = deque()

    def add(self, first_row: int, incoming: Incoming) -> None:
        """Take in a segment's rows. Waits while too many are under way; raises what a job raises."""
        count = len(incoming.texts)
        evidence: list[str | None] | None = [None] * count if self._explain else None
        part = _Part(first_row, incoming, self._layout.blank(count), evidence)
        self._open.add(part)
        texts = {row: text for row, text in enumerate(incoming.texts) if isinstance(text, str)}
        for row, text in enumerate(incoming.texts):
            if isinstance(text, FeedbackError):
                part.fail(row, error_text(text))
        if self._cache is None:
            for row, text in texts.items():
                prepared = _prepared(part, row, text)
                if prepared is not None:
                    raw = text if self._explain else None
                    self._ask(part, row, Item(prepared, raw, incoming.origin(row)))
        else:
            self._look_up(part, texts, self._cache)
        self._settle(part, found=1)
        self._keep_going()

    def finished(self) -> Iterator[tuple[int, Segment]]:
        """First row and answers of the segments that are whole now."""
        self._collect(block=False)
        while self._ready:
            part = self._ready.popleft()
            yield part.first_row, part.segment()

    def rest(self) -> Iterator[tuple[int, Segment]]:
        """All that is still under way, as it gets whole."""
        self._submit()
        yield from self.finished()
        while self._running:
            self._collect(block=True)
            yield from self.finished()

    def warm(self, incoming: Incoming, segment: Segment) -> None:
        """Give the cache what an earlier run answered, so that a text is not scored again when it comes again."""
        if self._cache is None:
            return
        texts = incoming.texts
        raw = {row: raw_key(text) for row, text in enumerate(texts) if isinstance(text, str)}
        known = self._cache.prepared_keys(list(raw.values()))
        fresh: dict[bytes, int] = {}
        for (row, key), found in zip(raw.items(), known, strict=True):
            if found is None and segment.answers["error"][row] == ANSWERED:
                fresh.setdefault(origin_key(key, incoming.origin(row)), row)
        rows, keys = list(fresh.values()), []
        for row in rows:
            key = prepared_key(prepare_whole(texts[row]))
            self._cache.remember(raw[row], key)
            keys.append(origin_key(key, incoming.origin(row)))
        self._cache.keep(keys, segment.as_answered(rows))

    def _look_up(self, part: _Part, texts: dict[int, str], cache: AnswerCache) -> None:
        raw = [raw_key(text) for text in texts.values()]
        fresh: dict[bytes, bytes] = {}
        prepared: dict[int, Prepared] = {}
        rows, keys = [], []
        for (row, text), code, known in zip(texts.items(), raw, cache.prepared_keys(raw), strict=True):
            key = known or fresh.get(code)
            if key is None:
                found = _prepared(part, row, text)
                if found is None:
                    continue
                prepared[row] = found
                key = fresh[code] = prepared_key(found)
                cache.remember(code, key)
            rows.append(row)
            keys.append(origin_key(key, part.incoming.origin(row)))
        positions, records = cache.find(keys)
        part.answers[np.array(rows, dtype=np.intp)[positions]] = records
        self.cached += len(positions)
        missed = np.ones(len(rows), dtype=np.bool_)
        missed[positions] = False
        for i in np.flatnonzero(missed).tolist():
            row, key = rows[i], keys[i]
            if (asked := self._waiting.get(key)) is not None:
                asked.append((part, row))
                part.missing += 1
            elif not self._answered_meanwhile(part, row, key, cache):
                found = prepared.get(row) or prepare_whole(texts[row])
                self._waiting[key] = self._ask(part, row, Item(found, origin=part.incoming.origin(row)), key)

    def _answered_meanwhile(self, part: _Part, row: int, key: bytes, cache: AnswerCache) -> bool:
        """Asking for other rows may have had to wait for a job that held this text."""
        positions, records = cache.find([key])
        if len(positions):
            part.answers[row] = records[0]
            self.cached += 1
        return bool(len(positions))

    def _ask(self, part: _Part, row: int, item: Item, key: bytes = b"") -> list[tuple[_Part, int]]:
        part.missing += 1
        askers = [(part, row)]
        self._job.items.append(item)
        self._job.keys.append(key)
        self._job.askers.append(askers)
        if len(self._job.items) >= self._job_texts:
            self._submit()
        return askers

    def _keep_going(self) -> None:
        if len(self._open) >= _FEW_OPEN and len(self._running) < self._pool.workers:
            self._submit()
        while len(self._open) >= MOST_OPEN:
            self._collect(block=True)

    def _submit(self) -> None:
        if not self._job.items:
            return
        while len(self._running) >= self._pool.room:
            self._collect(block=True)
        job, self._job = self._job, _Job()
        self._running[self._pool.submit(job.items)] = job

    def _collect(self, *, block: bool) -> None:
        if not self._running:
            return
        done, _ = wait(self._running, timeout=None if block else 0, return_when=FIRST_COMPLETED)
        for future in done:
            self._deliver(self._running.pop(future), self._pool.result(future))

    def _deliver(self, job: _Job, scored: Scored) -> None:
        self.cached += sum(len(askers) - 1 for askers in job.askers)
        rows: dict[_Part, tuple[list[int], list[int]]] = {}
        for i, (key, askers) in enumerate(zip(job.keys, job.askers, strict=True)):
            self._waiting.pop(key, None)
            for part, row in askers:
                places, positions = rows.setdefault(part, ([], []))
                places.append(row)
                positions.append(i)
        for part, (places, positions) in rows.items():
            part.answers[places] = scored.answers[positions]
            for place, position in zip(places, positions, strict=True):
                if position in scored.errors:
                    part.fail(place, scored.errors[position])
                if part.evidence is not None and scored.evidence is not None:
                    part.evidence[place] = scored.evidence[position]
            self._settle(part, found=len(places))
        if self._cache is not None:
            good = [i for i in range(len(job.items)) if i not in scored.errors]
            self._cache.keep([job.keys[i] for i in good], scored.answers[good])

    def _settle(self, part: _Part, *, found: int) -> None:
        part.missing -= found
        if part.missing == 0:
            self._open.remove(part)
            self._ready.append(part)


def _prepared(part: _Part, row: int, text: str) -> Prepared | None:
    """As a model sees it, without the way back to the raw text; None where it cannot be read."""
    try:
        found = prepare_whole(text)
    except TextError as error:
        part.fail(row, error_text(error))
        return None
    return Prepared(found.text, found.truncated, (), (), found.tail)
