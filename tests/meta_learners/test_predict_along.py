"""Predictions along adaptation, against a model adapted by hand."""

import keras
import numpy as np
import tensorflow as tf

import warptf
from warptf.tasks import Task


def test_predictions_are_those_of_gradient_descent_by_hand() -> None:
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((1,)), dense])
    meta = warptf.OnlineMetaLearner(
        model,
        warptf.inner_optimizers.SGD(0.1),
        inner_steps=2,
        objective=None,
        initialization=warptf.initializations.MAML(),
    )
    meta.compile("sgd", "mse")
    # Two tasks, a mini-batch of one example for each of two steps.
    x = np.array([[[1.0], [2.0]], [[1.0], [1.0]]], "float32")[..., None]
    y = np.array([[[3.0], [0.0]], [[0.0], [0.0]]], "float32")[..., None]
    query = np.array([[[1.0], [5.0]]] * 2, "float32")
    data = tf.data.Dataset.from_tensors(Task((x, y), (query, query)))
    found = meta.predict_along(data)
    assert found.shape == (2, 3, 2, 1)
    for task in range(2):
        w = 1.0
        for k in range(3):
            np.testing.assert_allclose(found[task, k, :, 0], [w, 5.0 * w], rtol=1e-6)
            if k < 2:
                a, b = x[task, k, 0, 0], y[task, k, 0, 0]
                w -= 0.1 * 2 * (w * a - b) * a
    (weights,) = meta.trajectories(data)
    assert weights.shape == (2, 3, 1, 1)
    np.testing.assert_allclose(weights[..., 0, 0], found[:, :, 0, 0], rtol=1e-6)
    shorter = meta.predict_along(data, steps=1)
    np.testing.assert_array_equal(shorter, found[:, :2])
