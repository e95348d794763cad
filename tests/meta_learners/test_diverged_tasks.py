"""Tasks whose adaptation diverges, beside tasks whose does not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import warptf
from warptf.inner_optimizers import SGD
from warptf.tasks import Task


def learner(**compiling):
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="ones"),
            warptf.layers.WarpScale(),
        ]
    )
    # Adaptation to y = w x multiplies the error by 1 - 2 x^2: at x = 1e6 it overflows in 4 steps.
    learner = warptf.OnlineMetaLearner(model, SGD(1.0), 8)
    learner.compile(keras.optimizers.SGD(0.1), "mse", **compiling)
    return learner


def task(*inputs):
    x = np.reshape(inputs, [-1, 1, 1]).astype("float32")
    return Task((x, np.zeros_like(x)), (x, np.zeros_like(x)))


def fitted(task, **compiling):
    fitted = learner(**compiling)
    history = fitted.fit(tf.data.Dataset.from_tensors(task), verbose=0).history
    (scale,) = (v.numpy() for v in fitted.partition.warp_variables if "scale" in v.path)
    return scale, history


@pytest.mark.parametrize("way", [{}, {"jit_compile": "tasks"}, {"vectorize_tasks": True}])
def test_a_diverged_task_counts_as_a_gradient_of_zero(way):
    before = np.ones(1)
    alone, history = fitted(task(0.1), **way)
    both, beside = fitted(task(0.1, 1e6), skip_diverged=True, **way)
    assert abs(alone - before) > 1e-4
    # The mean over two tasks of a gradient and nothing is half of that gradient.
    np.testing.assert_allclose(both - before, (alone - before) / 2, rtol=1e-4)
    np.testing.assert_allclose(beside["loss"], history["loss"], rtol=1e-5)
    assert beside["diverged"] == [0.5] and "diverged" not in history


def test_without_it_one_diverged_task_spoils_all():
    scale, history = fitted(task(0.1, 1e6))
    assert np.isnan(scale).all() and not np.isfinite(history["loss"]).any()


def test_where_all_diverge_nothing_moves():
    scale, history = fitted(task(1e6, 1e6), skip_diverged=True)
    np.testing.assert_array_equal(scale, 1.0)
    assert history["diverged"] == [1.0] and history["loss"] == [0.0]


def test_it_is_kept_in_the_file(tmp_path):
    kept = learner(skip_diverged=True)
    kept.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    history = loaded.fit(tf.data.Dataset.from_tensors(task(0.1, 1e6)), verbose=0).history
    assert history["diverged"] == [0.5]
