"""Which times of a table can be counted over: not those to come, nor a few that lie years from all others.

One comment dated into next year makes the forecast start there, and one of 1970 makes twenty thousand days without a
comment; both are slips of the pen or of a converter, whose rows are comments all the same.
"""

from datetime import UTC, datetime, timedelta

import numpy as np

from pipeline.insights.table import Mask, Times

_AHEAD = timedelta(days=1)  # clocks and time zones of whoever wrote the file
_GAP = np.timedelta64(366, "D")  # without a comment, behind which …
_FEW = 0.01  # … so few of them lie apart
_LONGEST = np.timedelta64(3660, "D")  # ten years of a series


def in_the_future(times: Times, now: datetime) -> Mask:
    """(n,) times more than a day after `now`."""
    latest = np.datetime64((now + _AHEAD).astimezone(UTC).replace(tzinfo=None), "s")
    return np.asarray(times > latest)


def far_away(times: Times) -> Mask:
    """(n,) times that a year without a comment parts from nearly all others, or over ten years before the last."""
    known = np.flatnonzero(~np.isnat(times))
    found = np.zeros(len(times), dtype=np.bool_)
    if not len(known):
        return found
    order = known[np.argsort(times[known], kind="stable")]
    part = np.concatenate([[0], np.cumsum(np.diff(times[order]) > _GAP)])
    sizes = np.bincount(part)
    found[order[sizes[part] <= _FEW * len(order)]] = True
    last = times[known[~found[known]]].max()
    return np.asarray(found | (times < last - _LONGEST))
