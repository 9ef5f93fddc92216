"""Answers to texts that came before: “好评” is written a thousand times a day and scored once.

The key is a hash of the text as it was prepared, so that “好评！” and “好評!” are one. A second, smaller table knows
which prepared text a raw text became, and saves preparing it again. No text is kept.
"""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.prepare import Prepared
from pipeline.routing import Origin

ENTRIES = 262_144
_KEY_BYTES = 16


class AnswerCache:
    """The least recently used of at most `entries` records is dropped first. One cache is for one model version.

    Records lie in one array of `dtype`; the two keys of a text and their places take some 340 bytes more. Safe to share
    by threads.
    """

    def __init__(self, dtype: Any, *, entries: int = ENTRIES) -> None:
        self._dtype = np.dtype(dtype)
        self._entries = max(1, entries)
        self._records = np.zeros(min(self._entries, 1024), dtype=self._dtype)
        self._places: OrderedDict[bytes, int] = OrderedDict()
        self._known: OrderedDict[bytes, bytes] = OrderedDict()  # raw text's key -> prepared text's key
        self._lock = Lock()
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._places)

    def find(self, keys: Sequence[bytes]) -> tuple[npt.NDArray[np.intp], npt.NDArray[Any]]:
        """Positions in `keys` of those that are known, and their records."""
        positions, places = [], []
        with self._lock:
            find, touch = self._places.get, self._places.move_to_end
            for i, key in enumerate(keys):
                place = find(key)
                if place is not None:
                    touch(key)
                    positions.append(i)
                    places.append(place)
            self.hits += len(positions)
            self.misses += len(keys) - len(positions)
            return np.array(positions, dtype=np.intp), self._records[places]

    def keep(self, keys: Sequence[bytes], records: npt.NDArray[Any]) -> None:
        """Take in records; those that are there already are replaced."""
        with self._lock:
            for key, record in zip(keys, records, strict=True):
                place = self._place(key)  # may give the records a larger array
                self._records[place] = record

    def prepared_keys(self, raw: Sequence[bytes]) -> list[bytes | None]:
        """Key of the prepared text of every raw text's key, where it is known."""
        with self._lock:
            find, touch = self._known.get, self._known.move_to_end
            found = [find(key) for key in raw]
            for key, known in zip(raw, found, strict=True):
                if known is not None:
                    touch(key)
            return found

    def remember(self, raw: bytes, prepared: bytes) -> None:
        """Note what a raw text became."""
        with self._lock:
            self._known[raw] = prepared
            if len(self._known) > self._entries:
                self._known.popitem(last=False)

    def _place(self, key: bytes) -> int:
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= self._entries:
                _, place = self._places.popitem(last=False)
            else:
                place = len(self._places)
                if place == len(self._records):
                    self._records = np.resize(self._records, min(self._entries, 2 * place))
        self._places[key] = place
        self._places.move_to_end(key)
        return place


def raw_key(text: str) -> bytes:
    """Key of a text as it came."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest()


def origin_key(key: bytes, origin: Origin | None) -> bytes:
    """Key of a prepared text from somewhere, where that may decide."""
    if origin is None:
        return key
    return blake2b(
        repr((origin.channel, origin.tier)).encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES, key=key
    ).digest()


def prepared_key(prepared: Prepared) -> bytes:
    """Key of a prepared text. One that was cut is another, even where the rest is the same: its answer says so.

    So is one with another tail, as far as it is known: a danger in it decides.
    """
    cut = b"cut" if prepared.truncated else b""
    content = f"{prepared.text}\0{prepared.tail}" if prepared.tail else prepared.text
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES, person=cut).digest()
