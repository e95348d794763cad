"""Small smooth learners on which derivatives can be checked."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from contracts.numerics import Batch, PlainLearner

from warptf.adaptation import (
    InnerProblem,
    InnerState,
    Parameters,
    Start,
    StepBatch,
    TaskBatches,
    batch_at,
)
from warptf.inner_optimizers import InnerOptimizer
from warptf.layers import (
    ContextFiLM,
    FiLMTaskEmbedding,
    Warp,
    WarpConv2D,
    WarpDense,
    WarpResidualConv2D,
    WarpResidualDense,
)
from warptf.partition import FunctionalLearner

Layers = keras.layers


def squared_error(y: Any, prediction: Any) -> Any:
    return keras.ops.mean(keras.ops.square(prediction - y), axis=-1)


def cross_entropy(y: Any, logits: Any) -> Any:
    return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)


class Kind(NamedTuple):
    """A kind of learner.

    Attributes:
        layers: makes its layers; those named `warp...` hold phi.
        input_shape: shape of one input.
        classes: number of classes, or `None` for a regression.
        outputs: number of outputs of a regression.
        tokens: number of different integers that inputs consist of, or `None` for real inputs.
    """

    layers: Callable[[], Sequence[keras.layers.Layer]]
    input_shape: tuple[int, ...] = (3,)
    classes: int | None = None
    outputs: int = 2
    tokens: int | None = None


def _dense() -> Sequence[keras.layers.Layer]:
    return (
        Layers.Dense(4, activation="tanh", kernel_regularizer=keras.regularizers.L2(0.05)),
        WarpDense(4, activation="tanh", name="warp_1"),
        Layers.Dense(2),
        WarpDense(2, name="warp_2"),
    )


def _norm() -> Sequence[keras.layers.Layer]:
    return (
        Layers.Dense(4),
        Layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
        Layers.Activation("tanh"),
        WarpDense(3, name="warp_dense"),
        Warp(Layers.BatchNormalization(momentum=0.9), name="warp_norm"),
        Layers.Dense(2),
    )


def _residual() -> Sequence[keras.layers.Layer]:
    return (
        Layers.Dense(4, activation="softplus"),
        WarpResidualDense(3, name="warp_1"),
        Layers.LayerNormalization(),
        Layers.Dense(2),
    )


def _conv() -> Sequence[keras.layers.Layer]:
    return (
        Layers.Conv2D(2, 3, padding="same", activation="softplus"),
        Layers.MaxPooling2D(2),
        WarpConv2D(2, name="warp_1"),
        Layers.Flatten(),
        Layers.Dense(3),
    )


def _residual_conv() -> Sequence[keras.layers.Layer]:
    return (
        Layers.Conv2D(2, 3, padding="same"),
        Layers.MaxPooling2D(2),
        Layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
        Layers.Activation("tanh"),
        WarpResidualConv2D(activation="tanh", name="warp_1"),
        Layers.GlobalAveragePooling2D(),
        Layers.Dense(3),
    )


def _scalar() -> Sequence[keras.layers.Layer]:
    return Layers.Dense(1, use_bias=False), WarpDense(use_bias=False, name="warp_1")


def _embedding() -> Sequence[keras.layers.Layer]:
    return (
        Layers.Embedding(5, 2),
        Layers.Flatten(),
        WarpDense(3, activation="tanh", name="warp_1"),
        Layers.Dense(2),
    )


def _context() -> Sequence[keras.layers.Layer]:
    return (
        Layers.Dense(3, activation="tanh"),
        WarpDense(3, activation="tanh", name="warp_1"),
        Layers.Dense(2),
        FiLMTaskEmbedding(),
    )


def _cavia() -> Sequence[keras.layers.Layer]:
    return (
        Warp(Layers.Dense(4), name="warp_1"),
        ContextFiLM(3, name="warp_film"),
        Layers.Activation("tanh"),
        Warp(Layers.Dense(2), name="warp_2"),
    )


KINDS = {
    "dense": Kind(_dense),
    "batch-norm": Kind(_norm),
    "residual": Kind(_residual),
    "conv": Kind(_conv, (6, 6, 1), 3),
    "residual-conv": Kind(_residual_conv, (4, 4, 1), 3),
    "context": Kind(_context),
    "cavia": Kind(_cavia),
    "embedding": Kind(_embedding, (3,), tokens=5),
    "linear": Kind(lambda: [Layers.Dense(2, use_bias=False)]),
    "scalar": Kind(_scalar, (1,), outputs=1),
}


class Problem:
    """A learner twice over: as the library sees it, and as plain Keras.

    Args:
        kind: one of `KINDS`.
        optimizer: the inner optimizer.
    """

    def __init__(self, kind: str, optimizer: InnerOptimizer) -> None:
        self.kind = KINDS[kind]
        self.loss = squared_error if self.kind.classes is None else cross_entropy
        self.model, copy = self._model(), self._model()
        warp = [layer.name for layer in copy.layers if layer.name.startswith("warp")]
        self.plain = PlainLearner(copy, warp, ["vector"], self.loss)
        self.learner = FunctionalLearner(self.model)
        self.optimizer = optimizer
        optimizer.build_for(self.learner.theta_variables)
        self.adaptation = InnerProblem(self.learner, optimizer, self.loss)
        rng = np.random.default_rng(0)
        for variable in self.model.trainable_variables:
            variable.assign(variable + 0.3 * rng.normal(size=variable.shape))
        self.theta = [v.numpy() for v in self.learner.initial_theta()]
        self.phi = [v.numpy() for v in self.learner.warp_values()]

    def _model(self) -> keras.Model:
        keras.utils.set_random_seed(1)
        dtype = "int32" if self.kind.tokens else None
        inputs = keras.Input(self.kind.input_shape, dtype=dtype)
        return keras.Sequential([inputs, *self.kind.layers()])

    def batch(self, seed: int, size: int = 5) -> Batch:
        """A random mini-batch."""
        rng = np.random.default_rng(100 + seed)
        shape, floatx = (size, *self.kind.input_shape), keras.config.floatx()
        x = rng.normal(size=shape).astype(floatx)
        if self.kind.tokens:
            x = rng.integers(0, self.kind.tokens, shape).astype("int32")
        if self.kind.classes is None:
            return x, rng.normal(size=(size, self.kind.outputs)).astype(floatx)
        return x, rng.integers(0, self.kind.classes, size)

    def start(self, theta: Any = None, hyper: Any = (), context: int = 0) -> Start:
        """Where adaptation starts: at theta, or at values given for it.

        Args:
            theta: the values; those of the problem if `None`.
            hyper: values of learned hyper-parameters.
            context: how many of theta, counted from the end, count as context variables.
        """
        values = [tf.convert_to_tensor(t) for t in (self.theta if theta is None else theta)]
        count = len(values) - context
        parameters = parameters_at(values[:count], self.phi, hyper, values[count:])
        return self.adaptation.start(parameters, tf.constant([1, 2]))

    def inner(self, state: Sequence[Any] = ()) -> InnerState:
        """The state at theta, context counted in, with the given optimizer state."""
        start = self.start().state
        return start._replace(optimizer=[tf.constant(s) for s in state]) if state else start


def parameters_at(theta: Any, phi: Any = (), hyper: Any = (), context: Any = ()) -> Parameters:
    """Parameters from arrays."""
    return Parameters(
        *([tf.convert_to_tensor(v) for v in part] for part in (theta, context, phi, hyper))
    )


def batch_of(batch: Any, meta_batch: Any = None) -> StepBatch:
    """The mini-batches of one step."""
    both = [None if b is None else tuple(map(tf.constant, b)) for b in (batch, meta_batch)]
    return batch_at(TaskBatches(*both), tf.constant(0))
