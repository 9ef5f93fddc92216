"""The session's own parts; a real Ray is started in test_ray_scoring.py."""

import os
import signal
import threading

import pytest

from models.ray_session import lasting_interrupt


def test_a_swallowed_ctrl_c_is_raised_again_at_the_next_check() -> None:
    before = signal.getsignal(signal.SIGINT)
    with lasting_interrupt() as check:
        check()
        with pytest.raises(KeyboardInterrupt):  # where a callback of Ray's would swallow it
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            check()
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_no_handler_is_set() -> None:
    before = signal.getsignal(signal.SIGINT)
    found = []

    def work() -> None:
        with lasting_interrupt() as check:
            check()
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
