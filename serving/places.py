"""How many comments may be under way at once. More are refused at once: better told now than kept waiting."""

import threading
from collections.abc import Callable

from serving.problems import RequestProblem


class Places:
    """A bounded number of places. A batch gets all that it needs or none, so that no half batch is computed in vain.

    `told` hears how many are taken whenever that changes.
    """

    def __init__(self, total: int, *, told: Callable[[int], None] | None = None) -> None:
        self.total = total
        self._taken = 0
        self._told = told
        self._lock = threading.Lock()  # places are given back by the model's threads

    @property
    def taken(self) -> int:
        return self._taken

    def take(self, count: int, *, anyway: bool = False) -> None:
        """Take `count` places; RequestProblem `overloaded` where fewer are free, unless they are taken `anyway`."""
        with self._lock:
            if self._taken + count > self.total and not anyway:
                raise _overloaded()
            self._change(count)

    def check(self, count: int) -> None:
        """RequestProblem `overloaded` where fewer than `count` places are free; none is taken."""
        if self._taken + count > self.total:
            raise _overloaded()

    def give_back(self, count: int) -> None:
        """Free `count` places."""
        with self._lock:
            self._change(-count)

    def _change(self, by: int) -> None:
        self._taken += by
        if self._told is not None:
            self._told(self._taken)


def _overloaded() -> RequestProblem:
    return RequestProblem("overloaded", "too many comments are under way; wait as Retry-After says, and send it again")
