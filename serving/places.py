"""How many comments may be under way at once. More are refused at once: better told now than kept waiting."""

import threading

from serving.problems import RequestProblem


class Places:
    """A bounded number of places. A batch gets all that it needs or none, so that no half batch is computed in vain."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._taken = 0
        self._lock = threading.Lock()  # places are given back by the model's thread

    @property
    def taken(self) -> int:
        return self._taken

    def take(self, count: int) -> None:
        """Take `count` places; RequestProblem `overloaded` where fewer are free."""
        with self._lock:
            if self._taken + count > self.total:
                raise RequestProblem(
                    "overloaded", "too many comments are under way; wait as Retry-After says, and send it again"
                )
            self._taken += count

    def give_back(self, count: int) -> None:
        """Free `count` places."""
        with self._lock:
            self._taken -= count
