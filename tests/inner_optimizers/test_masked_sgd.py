"""Masks: their distribution, their gradient, whom they belong to, and where their noise is from."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.numerics import assert_close
from meta_learners.problems import classification_tasks, cross_entropy, network, stream

import warptf
from warptf.adaptation import InnerProblem
from warptf.inner_optimizers import SGD, MaskedSGD, Proximal
from warptf.layers import BatchNormalization, ContextFiLM
from warptf.partition import FunctionalLearner

ALPHA, TEMPERATURE = 0.1, 0.7


def sigmoid(x: Any) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(x)))


def model() -> keras.Model:
    """A convolution with a bias, a norm, and a head without one."""
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Conv2D(3, 2),
            BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(2, use_bias=False),
        ]
    )


def built(**kwargs: Any) -> MaskedSGD:
    optimizer = MaskedSGD(ALPHA, temperature=TEMPERATURE, **kwargs)
    optimizer.build_for(model().trainable_variables)
    return optimizer


def wide(logit: float, units: int) -> MaskedSGD:
    """An optimizer of one vector."""
    optimizer = MaskedSGD(ALPHA, logit)
    optimizer.build_for([keras.Variable(np.zeros(units), name="vector")])
    return optimizer


def masks(optimizer: MaskedSGD, state: Any) -> list[np.ndarray]:
    return [
        np.asarray(noise) + np.asarray(logits) > 0
        for noise, logits in zip(state, optimizer.hyper_values(), strict=True)
    ]


class Point:
    """Values for the model above: parameters, gradients, logits and noise in double precision."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        shapes = [(2, 2, 1, 3), (3,), (3,), (3,), (27, 2)]
        self.owner = [0, 0, 1, 1, 2]
        self.theta = [rng.normal(size=s) for s in shapes]
        self.gradients = [rng.normal(size=s) for s in shapes]
        self.logits = [rng.normal(size=s) for s in (3, 3, 2)]
        # Away from the jump of the mask, and on both sides of it.
        self.noise = [
            -z + np.array([0.3, -0.4, 1.2])[: len(z)] * (-1) ** i for i, z in enumerate(self.logits)
        ]

    def update(self, logits: Any) -> Any:
        theta, gradients, noise = (
            [tf.constant(v) for v in values] for values in (self.theta, self.gradients, self.noise)
        )
        return built().update(theta, gradients, noise, logits)


def test_one_update_is_the_written_out_algebra() -> None:
    point = Point()
    update = point.update([tf.constant(z) for z in point.logits])
    moving = [np.array([1.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0])]
    expected = [
        t - ALPHA * moving[owner] * g
        for t, g, owner in zip(point.theta, point.gradients, point.owner, strict=True)
    ]
    for value, other in zip(update.theta, expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-14)
    for value, other in zip(update.state, point.noise, strict=True):
        np.testing.assert_array_equal(value, other)


def test_gradient_of_the_logits_goes_straight_through() -> None:
    # With S = sum_i c_i theta_i: dS/dzeta_j = -alpha / T s (1 - s) sum over unit j of c g,
    # where s = sigmoid((zeta_j + l_j) / T), whether unit j moves or not.
    point, rng = Point(), np.random.default_rng(1)
    weights = [rng.normal(size=t.shape) for t in point.theta]
    logits = [tf.constant(z) for z in point.logits]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        moved = point.update(logits).theta
        total = tf.add_n([tf.reduce_sum(c * t) for c, t in zip(weights, moved, strict=True)])
    expected = []
    for group, (zeta, noise) in enumerate(zip(point.logits, point.noise, strict=True)):
        sums = [
            (c * g).reshape(-1, len(zeta)).sum(0)
            for c, g, owner in zip(weights, point.gradients, point.owner, strict=True)
            if owner == group
        ]
        s = sigmoid((zeta + noise) / TEMPERATURE)
        expected.append(-ALPHA / TEMPERATURE * s * (1 - s) * np.sum(sums, axis=0))
    assert_close(tape.gradient(total, logits), expected, 1e-12)


@pytest.mark.parametrize("logit", [-1.0, 0.0, 2.0])
def test_units_move_with_the_probability_that_the_logits_say(logit: float) -> None:
    count = 100_000
    optimizer = wide(logit, count)
    [moving] = masks(optimizer, optimizer.init([tf.zeros([count])], tf.constant([3, 4])))
    probability = sigmoid(logit)
    # Five standard deviations of the frequency among independent draws.
    bound = 5 * np.sqrt(probability * (1 - probability) / count)
    assert abs(moving.mean() - probability) < bound


def test_noise_is_finite_and_that_of_two_gumbels() -> None:
    [noise] = wide(0.0, 100_000).init([tf.zeros([100_000])], tf.constant([1, 2]))
    assert np.all(np.isfinite(noise))
    # The quartiles of the logistic distribution are -log 3, 0 and log 3.
    np.testing.assert_allclose(
        np.quantile(noise, [0.25, 0.5, 0.75]), np.log([1 / 3, 1, 3]), atol=0.03
    )


def test_masks_belong_to_units() -> None:
    optimizer = built()
    assert [tuple(v.shape) for v in optimizer.trainable_variables] == [(3,), (3,), (2,)]
    for logits in optimizer.trainable_variables:
        np.testing.assert_array_equal(logits, np.full(logits.shape, 2.0, "float32"))


def test_variables_of_other_sizes_in_a_layer_have_masks_of_their_own() -> None:
    layers = [keras.layers.SeparableConv2D(4, 2, depth_multiplier=2), keras.layers.Flatten()]
    separable = keras.Sequential([keras.Input((3, 3, 1)), *layers])
    optimizer = MaskedSGD(ALPHA)
    optimizer.build_for(separable.trainable_variables)
    # Depthwise kernel [2, 2, 1, 2]; pointwise kernel [1, 1, 2, 4] and bias [4].
    assert [tuple(v.shape) for v in optimizer.trainable_variables] == [(2,), (4,)]


def test_scalars_and_contexts_are_masked_too() -> None:
    scalar = keras.Variable(1.0, name="scalar")
    context = keras.Sequential([keras.Input((3,)), ContextFiLM(5)])
    optimizer = MaskedSGD(ALPHA)
    optimizer.build_for([scalar, *warptf.partition(context).context_variables])
    theta = [tf.constant(1.0), tf.zeros([5])]
    noise = [tf.constant([3.0]), tf.constant([3.0, -3.0, 0.0, -3.0, 0.0])]
    gradients = [tf.ones_like(t) for t in theta]
    moved = optimizer.update(theta, gradients, noise, optimizer.hyper_values()).theta
    np.testing.assert_allclose(moved[0], 1 - ALPHA, rtol=1e-6)
    np.testing.assert_allclose(moved[1], -ALPHA * np.array([1, 0, 1, 0, 1]), rtol=1e-6)


def test_seeds_decide_the_masks_and_groups_have_noise_of_their_own() -> None:
    optimizer, theta = built(), [tf.constant(t, tf.float32) for t in Point().theta]
    once, again, other = (optimizer.init(theta, tf.constant([0, i])) for i in (1, 1, 2))
    for a, b, c in zip(once, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.all(a != c)
    assert np.all(once[0] != once[1])


def test_every_task_has_a_mask_of_its_own_for_all_its_steps() -> None:
    optimizer = wide(0.0, 50)
    theta = [tf.zeros([50])]

    def moved(seed: tf.Tensor) -> tf.Tensor:
        values, state = theta, optimizer.init(theta, seed)
        for _ in range(3):
            update = optimizer.update(values, [tf.ones([50])], state, optimizer.hyper_values())
            values, state = update.theta, update.state
        return values[0]

    seeds = tf.constant([[0, 1], [0, 2], [0, 1]])
    run = tf.function(lambda: tf.map_fn(moved, seeds, tf.TensorSpec([50])), autograph=False)
    first, second, third = run().numpy()
    np.testing.assert_array_equal(first, third)
    assert np.any(first != second)
    # A unit moved at all three steps or at none.
    for task in (first, second):
        np.testing.assert_allclose(np.unique(task), [-3 * ALPHA, 0.0], rtol=1e-6)


def test_adaptation_draws_masks_from_a_stream_of_their_own() -> None:
    learner = FunctionalLearner(network(dropout=0.3))
    optimizer = MaskedSGD(ALPHA)
    optimizer.build_for(learner.theta_variables)
    problem = InnerProblem(learner, Proximal(optimizer, 0.1), cross_entropy())
    theta, seed = learner.initial_theta(), tf.constant([5, 6])
    start, again = (problem.start(problem.parameters(), seed).state for _ in range(2))
    noise = start.optimizer[len(theta) :]
    assert len(noise) == 2
    for a, b in zip(noise, again.optimizer[len(theta) :], strict=True):
        np.testing.assert_array_equal(a, b)
    # Neither the task's seed nor one that the learner's random state starts from.
    seeds = [seed, *(s for s in start.state if s.shape == (2,))]
    assert len(seeds) == 2
    for used in seeds:
        assert np.all(optimizer.init(theta, tf.cast(used, tf.int32))[0] != noise[0])


def test_a_meta_learner_learns_saves_and_serves_the_masks(tmp_path) -> None:
    learner = warptf.WarpMAML(network(), MaskedSGD(0.5, 0.0), 3)
    learner.compile("sgd", cross_entropy())
    before = [np.array(v) for v in learner.inner_optimizer.trainable_variables]
    learner.fit(stream(2), verbose=0)
    after = [np.array(v) for v in learner.inner_optimizer.trainable_variables]
    assert all(np.any(a != b) for a, b in zip(after, before, strict=True))

    task = classification_tasks(1, None)
    x, y, query = task.support[0][0], task.support[1][0], task.query[0][0]
    adapted = learner.adapt(x, y)(query)
    assert np.any(learner.adapt(x, y, seed=1)(query) != adapted)
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    for a, b in zip(loaded.inner_optimizer.trainable_variables, after, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(loaded.adapt(x, y)(query), adapted)
    learner.export(tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served"))
    predictions = served.adapt_and_predict(x, y, query, 3)["predictions"]
    np.testing.assert_allclose(predictions, adapted, rtol=1e-5, atol=1e-6)


def test_where_all_units_move_it_is_gradient_descent() -> None:
    point = Point()
    theta, gradients = ([tf.constant(v) for v in p] for p in (point.theta, point.gradients))
    optimizer = built(initial_logit=100.0)
    state = optimizer.init(theta, tf.constant([0, 0]))
    ours = optimizer.update(theta, gradients, state, optimizer.hyper_values()).theta
    for a, b in zip(ours, SGD(ALPHA).update(theta, gradients, [], []).theta, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"learning_rate": -0.1}, ValueError, "learning_rate.*-0.1"),
        ({"initial_logit": float("inf")}, ValueError, "initial_logit.*finite.*inf"),
        ({"initial_logit": "2"}, TypeError, "initial_logit must be a number, got '2'"),
        ({"temperature": 0.0}, ValueError, "temperature must be above 0, got 0.0"),
        ({"temperature": True}, TypeError, "temperature must be a number, got True"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        MaskedSGD(**arguments)


def test_a_mask_needs_a_seed_and_variables() -> None:
    with pytest.raises(ValueError, match="give init\\(\\) a seed"):
        built().init([tf.constant(t) for t in Point().theta])
    theta = [tf.zeros([2])]
    for call in (
        lambda: MaskedSGD().init(theta, tf.constant([0, 0])),
        lambda: MaskedSGD().update(theta, theta, [], []),
    ):
        with pytest.raises(ValueError, match="build_for"):
            call()
