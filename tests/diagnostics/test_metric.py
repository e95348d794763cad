"""Metrics of warps against Jacobians written out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import warptf
from warptf.diagnostics import DegenerateWarpWarning, LayerMetric, metric


def network(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The warp x = V tanh(U theta + c) of the surface learner, and its Jacobian by hand."""
    hidden = np.tanh(theta @ U + C)
    return hidden @ V, np.einsum("dh,...h,hx->...xd", U, 1 - hidden**2, V)


RNG = np.random.default_rng(0)
U, C, V = RNG.normal(size=(2, 5)), RNG.normal(size=5), RNG.normal(size=(5, 2))


@pytest.fixture
def model() -> keras.Model:
    model = warptf.models.surface_learner(5)
    model.get_layer("warp_0").set_weights([U, C])
    model.get_layer("warp_1").set_weights([V, np.zeros(2)])
    return model


def test_metric_is_the_jacobian_with_its_transpose(model: keras.Model) -> None:
    theta = RNG.uniform(-1, 1, (3, 4, 2)).astype("float32")
    found = metric(model, theta)
    _, jacobian = network(theta)
    expected = jacobian @ jacobian.swapaxes(-1, -2)
    np.testing.assert_allclose(found.inverse, expected, rtol=1e-4, atol=1e-5)
    # Of a symmetric 2 x 2 matrix, from trace and determinant.
    trace, determinant = expected.trace(axis1=-2, axis2=-1), np.linalg.det(expected)
    root = np.sqrt(trace**2 / 4 - determinant)
    by_hand = np.stack([trace / 2 - root, trace / 2 + root], -1)
    np.testing.assert_allclose(found.eigenvalues, by_hand, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.condition, by_hand[..., 1] / by_hand[..., 0], rtol=1e-2)


def test_metric_follows_a_trajectory(model: keras.Model) -> None:
    learner = warptf.OnlineMetaLearner(model, warptf.inner_optimizers.SGD(0.1), 3)
    learner.compile("adam", warptf.losses.SurfaceValue())
    data = warptf.tasks.Surfaces(starts=2, evaluation_surfaces=1).test
    (delta,) = learner.trajectories(data)
    found = metric(model, delta)
    assert found.inverse.shape == (2, 4, 2, 2) and found.condition.shape == (2, 4)


@pytest.mark.parametrize("alpha", [1e-2, 1e-3])
def test_a_step_in_p_is_a_preconditioned_step_in_w(alpha: float) -> None:
    # Equation 5: L(Omega(theta - alpha grad)) = L(gamma - alpha G^-1 grad L) + O(alpha^2).
    theta, target = np.array([0.3, -0.4]), np.array([1.0, 2.0])
    gamma, jacobian = network(theta)
    slope = gamma - target
    stepped, _ = network(theta - alpha * jacobian.T @ slope)
    with tf.device("CPU:0"):
        inverse = metric(lambda t: tf.tanh(t @ U + C) @ V, theta[None]).inverse[0]
    preconditioned = gamma - alpha * inverse @ slope
    loss = [0.5 * np.sum((point - target) ** 2) for point in (stepped, preconditioned, gamma)]
    assert abs(loss[0] - loss[1]) < 50 * alpha**2
    assert loss[0] < loss[2]


def test_a_degenerate_warp_is_warned_of() -> None:
    with pytest.warns(DegenerateWarpWarning, match="condition number of its metric reaches inf"):
        found = metric(lambda t: tf.stack([t[:, 0], t[:, 0]], 1), [[1.0, 2.0]])
    assert np.isinf(found.condition).all()
    with pytest.warns(DegenerateWarpWarning, match="reaches 100 .above 50 at 50%"):
        metric(lambda t: t * tf.stack([tf.ones_like(t[:, 0]), t[:, 1]], 1),
               [[0.0, 0.5], [0.0, 5.0]], limit=50.0)  # fmt: skip


def test_points_must_be_finite() -> None:
    with pytest.raises(ValueError, match="`theta` must hold finite points"):
        metric(lambda t: t, [[np.nan, 0.0]])
    with pytest.raises(ValueError, match="`theta` must hold finite points"):
        metric(lambda t: t, 1.0)


def warped() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="relu", name="task"),
            warptf.layers.WarpResidualDense(6, name="warp"),
            keras.layers.ReLU(name="relu"),
            keras.layers.Dense(2, name="head"),
        ]
    )


def test_preconditioner_of_a_layer_is_the_jacobian_with_its_transpose() -> None:
    model, x = warped(), RNG.normal(size=(5, 3)).astype("float32")
    found = LayerMetric(model, "task", until="warp")
    u, c, v, _ = (w.astype("float64") for w in model.get_layer("warp").get_weights())
    h = np.maximum(x @ model.get_layer("task").kernel.numpy() + 0.0, 0)
    slope = 1 - np.tanh(h @ u + c) ** 2
    jacobian = np.eye(4) + np.einsum("ih,bh,ho->boi", u, slope, v)
    expected = jacobian @ jacobian.swapaxes(-1, -2)
    np.testing.assert_allclose(found.matrix(x), expected, rtol=1e-4, atol=1e-5)
    vectors = RNG.normal(size=(5, 4)).astype("float32")
    product = np.einsum("bij,bj->bi", expected, vectors)
    np.testing.assert_allclose(found.product(x, vectors), product, rtol=1e-4, atol=1e-5)
    condition = np.linalg.cond(jacobian) ** 2
    np.testing.assert_allclose(found.condition(x), condition, rtol=1e-2)


def test_the_warp_ends_before_the_next_task_layer() -> None:
    model, x = warped(), np.ones((1, 3), "float32")
    np.testing.assert_array_equal(
        LayerMetric(model, "task").matrix(x), LayerMetric(model, "task", until="relu").matrix(x)
    )


def test_images_and_batch_norm_in_a_warp() -> None:
    model = warptf.models.few_shot_learner(2, 2, "conv-bn", (16, 16, 1))
    x = RNG.random((2, 16, 16, 1)).astype("float32")
    found = LayerMetric(model, "pool_2")
    matrix = found.matrix(x)
    assert matrix.shape == (2, 8, 8)
    np.testing.assert_allclose(matrix, matrix.swapaxes(1, 2), atol=1e-5)
    assert np.linalg.eigvalsh(matrix).min() > -1e-5


def test_layers_without_a_warp_are_named() -> None:
    model = warped()
    with pytest.raises(ValueError, match="no layer 'tusk'; its layers are"):
        LayerMetric(model, "tusk")
    with pytest.raises(ValueError, match="no warp follows layer 'head'"):
        LayerMetric(model, "head")
