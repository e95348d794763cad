"""Weighted examples and a meta loss of its own, against what they come to by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import warptf
from warptf.tasks import Task

RATE = 0.1


def learner(initialization=None, **compile_arguments) -> warptf.OnlineMetaLearner:
    """One weight w, predictions w x, no bias."""
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((1,)), dense])
    result = warptf.OnlineMetaLearner(
        model,
        warptf.inner_optimizers.SGD(RATE),
        inner_steps=1,
        objective=None,
        initialization=initialization or warptf.initializations.MAML(),
    )
    result.compile(keras.optimizers.SGD(1.0), **{"loss": "mse", **compile_arguments})
    return result


def moved_by(meta: warptf.OnlineMetaLearner, task: Task) -> float:
    """Returns the meta-gradient, which a step of rate 1 takes."""
    before = meta.model.trainable_variables[0].numpy().item()
    meta.fit(tf.data.Dataset.from_tensors(task), verbose=0)
    return before - meta.model.trainable_variables[0].numpy().item()


def batch(*pairs: tuple[float, float], weights: list[float] | None = None) -> tuple:
    x, y = (np.array([[[v] for v in values]], "float32") for values in zip(*pairs, strict=True))
    return (x, y) if weights is None else (x, y, np.array([weights], "float32"))


@pytest.mark.parametrize("loss", ["mse", keras.losses.MeanSquaredError()])
def test_weights_multiply_the_losses_of_examples(loss) -> None:
    # One step on (1, 3) from w = 1: w' = 1 - RATE * 2 (1 - 3) = 1.4. The query (x, y) has the loss
    # c (w' x - y)^2 with c the weight over the number of examples, and dw'/dw = 1 - 2 RATE.
    query = batch((1.0, 0.0), (2.0, 1.0), weights=[3.0, 0.5])
    slope = 3.0 / 2 * 2 * 1.4 + 0.5 / 2 * 2 * 2.0 * (2.0 * 1.4 - 1.0)
    found = moved_by(learner(loss=loss), Task(batch((1.0, 3.0)), query))
    assert found == pytest.approx(slope * (1 - 2 * RATE), rel=1e-5)


def test_weights_of_the_support_change_the_inner_step() -> None:
    # The first example alone, at twice its weight: w' = 1 - RATE * 2 (1 - 3), as above.
    support = batch((1.0, 3.0), (5.0, 9.0), weights=[2.0, 0.0])
    found = moved_by(learner(), Task(support, batch((1.0, 0.0))))
    assert found == pytest.approx(2 * 1.4 * (1 - 2 * RATE), rel=1e-5)


def test_meta_loss_may_be_another() -> None:
    # The absolute error of the query has the slope sign(w' x - y) x.
    for first_order, through in ((False, 1 - 2 * RATE), (True, 1.0)):
        meta = learner(warptf.initializations.MAML(first_order), meta_loss="mae")
        found = moved_by(meta, Task(batch((1.0, 3.0)), batch((2.0, 1.0))))
        assert found == pytest.approx(2.0 * through, rel=1e-5)


def test_meta_loss_is_saved_and_scores_the_query(tmp_path) -> None:
    meta = learner(meta_loss="mae")
    data = tf.data.Dataset.from_tensors(Task(batch((1.0, 3.0)), batch((2.0, 1.0))))
    # w' = 1.4: |2.8 - 1|.
    assert meta.evaluate(data, verbose=0) == pytest.approx(1.8, rel=1e-6)
    meta.save(tmp_path / "meta.keras")
    loaded = keras.models.load_model(tmp_path / "meta.keras")
    assert loaded.evaluate(data, verbose=0) == pytest.approx(1.8, rel=1e-6)


def test_objective_sees_the_weights() -> None:
    """A weight of zero takes an example out of the warp objective."""

    def warp_gradient(query: tuple) -> np.ndarray:
        warp = warptf.layers.WarpDense(use_bias=False, kernel_initializer="ones")
        dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        model = keras.Sequential([keras.Input((1,)), dense, warp])
        meta = warptf.OnlineMetaLearner(model, warptf.inner_optimizers.SGD(RATE), 1)
        meta.compile(keras.optimizers.SGD(1.0), "mse")
        meta.fit(tf.data.Dataset.from_tensors(Task(batch((1.0, 3.0)), query)), verbose=0)
        return 1.0 - warp.kernel.numpy()

    weighted = warp_gradient(batch((1.0, 0.0), (2.0, 1.0), weights=[2.0, 0.0]))
    np.testing.assert_allclose(weighted, warp_gradient(batch((1.0, 0.0))), rtol=1e-6)


def test_weights_of_a_wrong_shape_are_refused() -> None:
    x, y = batch((1.0, 3.0), (2.0, 1.0))
    task = Task((x, y), (x, y, np.ones([1, 3], "float32")))
    with pytest.raises(ValueError, match=r"weights must have the first 2 axes of x.*\(1, 3\)"):
        learner().fit(tf.data.Dataset.from_tensors(task))
