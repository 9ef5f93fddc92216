"""All places or none."""

import threading

import pytest

from serving.places import Places
from serving.problems import RequestProblem


def test_a_batch_that_does_not_fit_takes_nothing() -> None:
    places = Places(3)
    places.take(2)
    with pytest.raises(RequestProblem) as caught:
        places.take(2)
    assert caught.value.code == "overloaded"
    assert caught.value.message == "too many comments are under way; wait as Retry-After says, and send it again"
    assert places.taken == 2
    places.take(1)
    assert places.taken == 3


def test_looking_for_room_takes_none() -> None:
    places = Places(3)
    places.take(2)
    places.check(1)
    with pytest.raises(RequestProblem) as caught:
        places.check(2)
    assert (caught.value.code, places.taken) == ("overloaded", 2)


def test_places_come_back_from_any_thread() -> None:
    places = Places(8000)

    def work() -> None:
        for _ in range(1000):
            places.take(1)
            places.give_back(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert places.taken == 0
