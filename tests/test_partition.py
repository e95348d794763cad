"""Which variable plays which part, and models called as functions of them."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from warptf import TaskLayer, WarpLayer
from warptf.architecture import designate
from warptf.layers import FiLMTaskEmbedding, Warp, WarpDense
from warptf.partition import FunctionalLearner, partition

Dense = keras.layers.Dense


def sequential(*layers: keras.layers.Layer, shape: tuple[int, ...] = (3,)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *layers])


def names(variables: Any) -> list[str]:
    """The layer and the variable of each path."""
    return ["/".join(v.path.split("/")[-2:]) for v in variables]


class Nested(WarpLayer):
    """A warp layer that holds an undeclared layer, a task layer and a warp layer in that."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plain = Dense(3, name="plain", use_bias=False)
        self.inner = Holder(name="inner")

    def build(self, input_shape: Any) -> None:
        self.own = self.add_weight(shape=(3,), name="own")
        self.plain.build(input_shape)
        self.inner.build(input_shape)

    def call(self, inputs: Any) -> Any:
        return self.inner(self.plain(inputs) * self.own)


class Holder(TaskLayer):
    def build(self, input_shape: Any) -> None:
        self.shift = self.add_weight(shape=(3,), name="shift")
        self.deep = WarpDense(use_bias=False, name="deep")
        self.deep.build(input_shape)

    def call(self, inputs: Any) -> Any:
        return self.deep(inputs + self.shift)


def test_innermost_declaration_wins() -> None:
    parts = partition(sequential(Dense(3, name="head", use_bias=False), Nested(name="nested")))
    assert names(parts.task_variables) == ["head/kernel", "inner/shift"]
    assert names(parts.warp_variables) == ["nested/own", "plain/kernel", "deep/kernel"]
    assert parts.context_variables == parts.state_variables == ()


def test_parts_keep_the_order_of_the_model_and_are_complete() -> None:
    model = sequential(Dense(3), WarpDense(), FiLMTaskEmbedding(), Nested(), Dense(2))
    parts = partition(model)
    position = {id(v): i for i, v in enumerate(model.trainable_variables)}
    lists = (parts.task_variables, parts.context_variables, parts.warp_variables)
    for part in lists:
        order = [position[id(v)] for v in part]
        assert order == sorted(order)
    assert sorted(position[id(v)] for part in lists for v in part) == list(range(len(position)))
    assert [v.path for v in partition(model).task_variables] == [
        v.path for v in parts.task_variables
    ]


def test_nested_models() -> None:
    encoder = sequential(Dense(4, name="a"), WarpDense(name="b"))
    inputs = keras.Input((3,))
    outputs = Dense(2, name="c")(Warp(sequential(Dense(4, name="d"), shape=(4,)))(encoder(inputs)))
    parts = partition(keras.Model(inputs, outputs))
    assert names(parts.task_variables) == ["a/kernel", "a/bias", "c/kernel", "c/bias"]
    assert names(parts.warp_variables) == ["b/kernel", "b/bias", "d/kernel", "d/bias"]


def test_a_shared_layer_is_counted_once_and_warp_wins_over_undeclared() -> None:
    shared = Dense(3, name="shared")
    inputs = keras.Input((3,))
    model = keras.Model(inputs, Dense(1)(shared(shared(inputs))))
    assert len(partition(model).task_variables) == 4
    both = keras.Model(inputs, Dense(1)(Warp(shared)(shared(inputs))))
    assert names(partition(both).warp_variables) == ["shared/kernel", "shared/bias"]


def test_a_layer_declared_both_ways_is_an_error() -> None:
    class Outer(TaskLayer):
        def __init__(self, layer: Any) -> None:
            super().__init__()
            self.layer = layer

        def build(self, input_shape: Any) -> None:
            pass

        def call(self, inputs: Any) -> Any:
            return self.layer(inputs)

    shared = Dense(3, name="shared")
    inputs = keras.Input((3,))
    model = keras.Model(inputs, Outer(shared)(Warp(shared)(inputs)))
    with pytest.raises(ValueError, match="shared/kernel.*declared both task and warp"):
        partition(model)


class WarpCell(WarpLayer):
    """An RNN cell with task weights in it."""

    state_size = output_size = 2

    def build(self, input_shape: Any) -> None:
        self.recurrent = self.add_weight(shape=(2, 2), name="recurrent")
        self.map = FiLMTaskEmbedding(context=False, name="map")
        self.map.build((input_shape[0], 2))

    def call(self, inputs: Any, states: Any) -> Any:
        state = keras.ops.tanh(self.map(states[0] @ self.recurrent) + inputs[:, :2])
        return state, [state]


@pytest.mark.parametrize(
    ("layer", "task", "warp"),
    [
        (lambda: keras.layers.RNN(WarpCell()), 2, 1),
        (lambda: keras.layers.RNN([keras.layers.GRUCell(2), WarpCell()]), 5, 1),
        (lambda: keras.layers.Bidirectional(keras.layers.LSTM(2)), 6, 0),
        (lambda: Warp(keras.layers.Bidirectional(keras.layers.LSTM(2))), 0, 6),
        (lambda: keras.layers.TimeDistributed(WarpDense(2)), 0, 2),
        (lambda: keras.layers.TimeDistributed(Dense(2)), 2, 0),
    ],
)
def test_recurrent_layers_and_wrappers(layer: Any, task: int, warp: int) -> None:
    parts = partition(sequential(layer(), shape=(4, 3)))
    assert (len(parts.task_variables), len(parts.warp_variables)) == (task, warp)


def test_attention() -> None:
    query = keras.Input((4, 3))
    hidden = keras.layers.MultiHeadAttention(1, 2)(query, query)
    outputs = Warp(keras.layers.MultiHeadAttention(1, 2))(hidden, query)
    parts = partition(keras.Model(query, outputs))
    assert (len(parts.task_variables), len(parts.warp_variables)) == (8, 8)


def test_frozen_weights_and_statistics_and_seeds_are_state() -> None:
    model = sequential(
        Dense(3, name="frozen", trainable=False),
        WarpDense(name="frozen_warp", trainable=False),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dropout(0.5, seed=1, name="dropout"),
        Dense(1, name="head"),
    )
    parts = partition(model)
    assert names(parts.task_variables) == ["norm/gamma", "norm/beta", "head/kernel", "head/bias"]
    assert parts.warp_variables == ()
    assert [v.name for v in parts.state_variables] == [
        v.name for v in model.non_trainable_variables
    ]
    assert {"moving_mean", "moving_variance", "seed_generator_state", "kernel"} <= {
        v.name for v in parts.state_variables
    }


def test_designations_reach_nested_layers_and_may_be_overridden_inside() -> None:
    encoder = sequential(Dense(4, name="a"), Dense(4, name="b"))
    inputs = keras.Input((3,))
    model = keras.Model(inputs, Dense(2, name="head")(encoder(inputs)))
    parts = partition(designate(model, warp=encoder, task="a"))
    assert names(parts.task_variables) == ["a/kernel", "a/bias", "head/kernel", "head/bias"]
    assert names(parts.warp_variables) == ["b/kernel", "b/bias"]


def test_what_cannot_be_sorted_is_an_error() -> None:
    with pytest.raises(TypeError, match="model must be a keras.Model, got Dense"):
        partition(Dense(2))
    with pytest.raises(ValueError, match="is not built"):
        partition(keras.Sequential([Dense(2)]))
    with pytest.raises(ValueError, match="no task variables"):
        FunctionalLearner(sequential(WarpDense()))


SEED = tf.constant([3, 4])


def values(learner: FunctionalLearner) -> tuple[Any, Any, Any]:
    return learner.initial_theta(), learner.warp_values(), learner.initial_state(SEED)


def test_a_call_with_the_own_values_is_the_model() -> None:
    model = sequential(Dense(4), WarpDense(), Dense(2))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    output = FunctionalLearner(model)(*values(FunctionalLearner(model)), x, training=False)
    np.testing.assert_array_equal(output.predictions, model(x))


def test_given_values_take_the_place_of_the_variables_and_nothing_is_assigned() -> None:
    model = sequential(
        Dense(2, name="task", use_bias=False),
        keras.layers.BatchNormalization(center=False, scale=False),
        WarpDense(use_bias=False, name="warp"),
    )
    learner = FunctionalLearner(model)
    before = model.get_weights()
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    theta, phi = np.ones((3, 2), "float32"), np.eye(2, dtype="float32")[::-1].copy()
    state = [np.array([1.0, 2.0], "float32"), np.array([4.0, 9.0], "float32")]
    output = learner([theta], [phi], state, x, training=False)
    expected = (x @ theta - state[0]) / np.sqrt(state[1] + 1e-3) @ phi
    np.testing.assert_allclose(output.predictions, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(output.state[0], state[0])
    learner([theta], [phi], state, x, training=True)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_state_is_threaded() -> None:
    model = sequential(keras.layers.BatchNormalization(momentum=0.5), Dense(1))
    learner = FunctionalLearner(model)
    theta, phi, state = values(learner)
    x = np.random.default_rng(0).normal(2.0, size=(50, 3)).astype("float32")
    for steps in (1, 2):
        state = learner(theta, phi, state, x, training=True).state
        np.testing.assert_allclose(state[0], (1 - 0.5**steps) * x.mean(0), rtol=1e-5)


def test_statistics_start_anew_for_each_task_unless_frozen() -> None:
    fresh, frozen = (keras.layers.BatchNormalization(name=n) for n in ("fresh", "frozen"))
    model = sequential(fresh, frozen, Dense(1))
    frozen.trainable = False
    for layer in (fresh, frozen):
        layer.moving_mean.assign([5.0, 5.0, 5.0])
        layer.moving_variance.assign([7.0, 7.0, 7.0])
    learner = FunctionalLearner(model)
    state = dict(
        zip(
            (v.path for v in learner.partition.state_variables),
            learner.initial_state(SEED),
            strict=True,
        )
    )
    for path, expected in {
        "fresh/moving_mean": 0.0,
        "fresh/moving_variance": 1.0,
        "frozen/moving_mean": 5.0,
        "frozen/moving_variance": 7.0,
    }.items():
        np.testing.assert_array_equal(
            next(v for p, v in state.items() if p.endswith(path)), [expected] * 3
        )


def test_masks_derive_from_the_seed_and_change_from_step_to_step() -> None:
    model = sequential(Dense(64, use_bias=False), keras.layers.Dropout(0.5), shape=(1,))
    learner = FunctionalLearner(model)
    theta = [tf.ones([1, 64])]

    def masks(seed: list[int]) -> list[np.ndarray]:
        state, found = learner.initial_state(tf.constant(seed)), []
        for _ in range(2):
            output = learner(theta, [], state, np.ones((1, 1), "float32"), training=True)
            state = output.state
            found.append(np.array(output.predictions))
        return found

    first, again, other = masks([1, 2]), masks([1, 2]), masks([1, 3])
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], other[0])


def test_reseeding_changes_random_state_only() -> None:
    model = sequential(keras.layers.BatchNormalization(), keras.layers.Dropout(0.5), Dense(1))
    learner = FunctionalLearner(model)
    theta, phi, state = values(learner)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    state = learner(theta, phi, state, x, training=True).state
    reseeded = learner.reseed(state, tf.constant([8, 9]))
    for variable, old, new in zip(learner.partition.state_variables, state, reseeded, strict=True):
        random = variable.name == "seed_generator_state"
        assert np.array_equal(old, new) != random


def test_context_starts_from_zero_whatever_its_variables_hold() -> None:
    embedding = FiLMTaskEmbedding()
    learner = FunctionalLearner(sequential(Dense(2, name="task"), embedding))
    embedding.gamma.assign([1.0, 2.0])
    theta = learner.initial_theta()
    assert names(learner.theta_variables) == [
        "task/kernel",
        "task/bias",
        f"{embedding.name}/gamma",
        f"{embedding.name}/beta",
    ]
    np.testing.assert_array_equal(theta[2], [0.0, 0.0])


def test_penalties_of_regularisers_are_summed() -> None:
    model = sequential(
        Dense(2, use_bias=False, kernel_regularizer=keras.regularizers.L2(0.5)),
        WarpDense(use_bias=False, activity_regularizer=keras.regularizers.L1(1.0)),
    )
    learner = FunctionalLearner(model)
    theta, phi = [tf.ones([3, 2])], [tf.eye(2)]
    output = learner(theta, phi, [], np.ones((1, 3), "float32"), training=True)
    np.testing.assert_allclose(output.penalty, 0.5 * 6 + 6.0)
    assert (
        FunctionalLearner(sequential(Dense(1)))(
            [tf.ones([3, 1]), tf.ones([1])], [], [], np.ones((1, 3), "float32"), training=True
        ).penalty
        is None
    )


def test_subclassed_models_hear_of_training() -> None:
    class Subclassed(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.dropout = Dense(4), keras.layers.Dropout(0.5)

        def call(self, inputs: Any) -> Any:
            return self.dropout(self.dense(inputs))

    model, x = Subclassed(), np.ones((8, 3), "float32")
    model(x)
    learner = FunctionalLearner(model)
    theta, phi, state = values(learner)
    for training in (True, False):
        output = learner(theta, phi, state, x, training=training)
        assert np.any(np.array(output.predictions) == 0.0) == training
