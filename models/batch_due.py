"""Due times of a segment's rows: around the clock, or in the working time of their queue's desk."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.answer_records import ANSWERED, NEVER_DUE, RecordLayout, Records
from pipeline.routing import CALENDAR_ESTIMATED


@dataclass(frozen=True, slots=True, eq=False)
class DueTimes:
    """n rows."""

    at: npt.NDArray[np.int64]  # (n,) microseconds since 1970, or NEVER_DUE
    reasons: npt.NDArray[np.uint8]  # (n, bytes) packed as in the records, with what the calendars say


def due_times(answers: Records, started: npt.NDArray[np.int64], layout: RecordLayout) -> DueTimes:
    """When every row is due that begins to wait at `started`, microseconds since 1970. Both: (n,)"""
    within, reasons = answers["due_at"], answers["reasons"]
    never = (within == NEVER_DUE) | (answers["error"] != ANSWERED)
    at = np.where(never, NEVER_DUE, started + within)
    if not any(layout.calendars):
        return DueTimes(at, reasons)
    waiting = np.flatnonzero(~never & (within < 0))
    queues = answers["queue"][waiting].tolist()
    starts, spans = started[waiting].tolist(), (-within[waiting]).tolist()
    estimated = []
    for row, queue, start, span in zip(waiting.tolist(), queues, starts, spans, strict=True):
        calendar = layout.calendars[queue]
        if calendar is not None:
            due = calendar.due(start, span)
            at[row] = due.at
            if due.estimated:
                estimated.append(row)
    if estimated:
        place = layout.words["reasons"].index(CALENDAR_ESTIMATED)
        reasons = reasons.copy()
        reasons[estimated, place // 8] |= np.uint8(1 << place % 8)
    return DueTimes(at, reasons)
