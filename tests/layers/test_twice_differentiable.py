"""The scope in which TensorFlow's functions are replaced."""

import threading

import pytest
import tensorflow as tf

from warptf.layers.moments import moments
from warptf.layers.resize import resize
from warptf.layers.softsign import softsign
from warptf.layers.twice_differentiable import twice_differentiable


def replaced() -> tuple:
    return tf.nn.moments, tf.image.resize, tf.nn.softsign, tf.math.softsign


def test_scopes_nest_and_end_also_on_errors() -> None:
    original, ours = replaced(), (moments, resize, softsign, softsign)
    with pytest.raises(RuntimeError), twice_differentiable():
        with twice_differentiable():
            pass
        assert replaced() == ours
        raise RuntimeError
    assert replaced() == original


def test_the_scope_lasts_until_the_last_thread_has_left_it() -> None:
    original = replaced()
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with twice_differentiable():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with twice_differentiable():
        thread.start()
        assert entered.wait(10)
    assert replaced() != original
    leave.set()
    thread.join()
    assert replaced() == original
