"""A model called with given values in place of its variables."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from warptf.layers.support_initialized_layer import SupportInitializedLayer, starting_from
from warptf.layers.twice_differentiable import twice_differentiable
from warptf.partition.keras_internals import losses_of_one_replica
from warptf.partition.layers import iterate_layers, random_state_variables
from warptf.partition.partition import partition

Tensors = list[tf.Tensor]

RANDOM_STATE = object()


class LearnerOutput(NamedTuple):
    """What a functional call of a learner returns.

    Attributes:
        predictions: the model's output, `[B, ...]`.
        state: the new values of the state variables.
        penalty: the sum of the losses that layers added (regularisers), or `None` without any.
    """

    predictions: Any
    state: Tensors
    penalty: tf.Tensor | None


class FunctionalLearner:
    r"""A Keras model as a pure function of $\theta$ (task and context), $\phi$ and the state.

    Args:
        model: a built Keras model. None of its variables is ever assigned here.

    Attributes:
        starts_from_support: whether layers start from the support set, such as `ClassMeanHead`.

    Raises:
        ValueError: the model has no task variables to adapt.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.partition = partition(model)
        parts = self.partition
        if not parts.task_variables and not parts.context_variables:
            raise ValueError(
                f"model {model.name!r} has no task variables, so adaptation could move nothing: "
                "all its trainable layers are warp layers. Leave at least one layer undeclared."
            )
        theta = (*parts.task_variables, *parts.context_variables)
        position = {id(v): i for i, v in enumerate((*theta, *parts.warp_variables))}
        self._trained = model.trainable_variables
        self._order = [position[id(v)] for v in self._trained]
        self._resets = _state_resets(model)
        self.starts_from_support = any(
            isinstance(layer, SupportInitializedLayer)
            for layer in (model, *(layer for _, layer in iterate_layers(model)))
        )
        self._norms = [
            layer
            for _, layer in iterate_layers(model)
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        ]

    @property
    def theta_variables(self) -> tuple[keras.Variable, ...]:
        """Task variables, then context variables: what the inner loop moves."""
        return (*self.partition.task_variables, *self.partition.context_variables)

    def initial_theta(self) -> Tensors:
        r"""Returns $\theta_0$: the task variables' values, and zeros for the context."""
        task = [tf.convert_to_tensor(v.value) for v in self.partition.task_variables]
        return task + [tf.zeros(v.shape, v.dtype) for v in self.partition.context_variables]

    def split(self, theta: Sequence[tf.Tensor]) -> tuple[Tensors, Tensors]:
        """Returns values of `theta_variables` as those of the task and of the context variables.

        Args:
            theta: one for each variable.
        """
        count = len(self.partition.task_variables)
        return list(theta[:count]), list(theta[count:])

    def warp_values(self) -> Tensors:
        r"""Returns the values of $\phi$."""
        return [tf.convert_to_tensor(v.value) for v in self.partition.warp_variables]

    def initial_state(self, seed: tf.Tensor) -> Tensors:
        """Returns the state in which adaptation to a task starts.

        Args:
            seed: two integers, different for each task; random state derives from it.
        """
        state = []
        for index, variable in enumerate(self.partition.state_variables):
            reset = self._resets.get(id(variable))
            if reset is None:
                state.append(tf.convert_to_tensor(variable.value))
            elif reset is RANDOM_STATE:
                folded = tf.random.experimental.stateless_fold_in(seed, index)
                state.append(tf.cast(folded, variable.dtype))
            else:
                state.append(tf.convert_to_tensor(reset(variable.shape, variable.dtype)))
        return state

    def start(
        self,
        theta: Sequence[tf.Tensor],
        phi: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        support: Any,
    ) -> tuple[Tensors, Tensors]:
        r"""Returns $\theta$ and the state with what starts from the support set in them.

        The model is called on the support set in training mode, so that batch norm has its
        statistics, and gathers them, as in the first inner step.

        Args:
            theta: values of `theta_variables`.
            phi: values of the warp variables.
            state: values of the state variables.
            support: a batch `(x, y)` or `(x, y, sample_weight)`.
        """
        x, y, weight = keras.utils.unpack_x_y_sample_weight(support)
        targets = tf.nest.flatten(y)
        if len(targets) != 1:
            raise ValueError(
                f"model {self.model.name!r} has a head that starts from the support set, but the "
                f"targets are those of {len(targets)} outputs: use a model with one output."
            )
        with self.scope(theta, phi, state) as scope, starting_from(targets[0], weight):
            self.model(x, training=True)
        variables = (self.theta_variables, self.partition.state_variables)
        started, new_state = ([scope.get_current_value(v) for v in part] for part in variables)
        return started, new_state

    def reseed(self, state: Sequence[tf.Tensor], seed: tf.Tensor) -> Tensors:
        """Returns `state` with its random part derived anew from `seed`."""
        fresh = self.initial_state(seed)
        return [
            new if self._resets.get(id(variable)) is RANDOM_STATE else old
            for variable, old, new in zip(self.partition.state_variables, state, fresh, strict=True)
        ]

    def __call__(
        self,
        theta: Sequence[tf.Tensor],
        phi: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        inputs: Any,
        training: bool,
        batch_statistics: bool = False,
    ) -> LearnerOutput:
        """Calls the model with the given values in place of its variables.

        Args:
            theta: values of `theta_variables`.
            phi: values of the warp variables.
            state: values of the state variables.
            inputs: the model's input, `[B, ...]`.
            training: whether to call the model in training mode.
            batch_statistics: whether batch norm uses the statistics of this batch out of training
                mode, too.
        """
        model = self.model
        # `Layer.stateless_call` runs `call` without the context through which nested layers learn
        # of `training`; a full call in the same scope serves subclassed models as well.
        norms = _normalising_by_batch(self._norms if batch_statistics else ())
        with self.scope(theta, phi, state) as scope, norms:
            given = [scope.get_current_value(v) for v in model.trainable_variables]
            predictions = model(inputs, training=training)
            losses = model.losses
        for variable, value in zip(model.trainable_variables, given, strict=True):
            if scope.get_current_value(variable) is not value:
                raise ValueError(_assigned(model, variable))
        new_state = [scope.get_current_value(v) for v in self.partition.state_variables]
        return LearnerOutput(predictions, new_state, _sum_of_penalties(losses))

    @contextlib.contextmanager
    def scope(
        self, theta: Sequence[tf.Tensor], phi: Sequence[tf.Tensor], state: Sequence[tf.Tensor]
    ) -> Iterator[keras.StatelessScope]:
        """Has parts of the model called with the given values in place of its variables.

        Args:
            theta: values of `theta_variables`.
            phi: values of the warp variables.
            state: values of the state variables.
        """
        values = (*theta, *phi)
        mapping = [
            *zip(self._trained, (values[i] for i in self._order), strict=True),
            *zip(self.partition.state_variables, state, strict=True),
        ]
        stateless = keras.StatelessScope(state_mapping=mapping, collect_losses=True)
        with stateless as scope, twice_differentiable(), losses_of_one_replica():
            yield scope


def _sum_of_penalties(losses: Sequence[Any]) -> tf.Tensor | None:
    """Returns what layers added to the loss, each summed and of a floating type as by Keras."""
    if not losses:
        return None
    tensors = [tf.convert_to_tensor(loss) for loss in losses]
    floatx = keras.config.floatx()
    floating = [t if t.dtype.is_floating else tf.cast(t, floatx) for t in tensors]
    dtype = keras.backend.result_type(*(t.dtype.name for t in floating))
    return tf.add_n([tf.cast(tf.reduce_sum(t), dtype) for t in floating])


@contextlib.contextmanager
def _normalising_by_batch(norms: Sequence[keras.layers.Layer]) -> Iterator[None]:
    """Makes batch norms take their batch's statistics, whatever mode they are called in."""

    def in_training(call: Any) -> Any:
        return lambda inputs, training=None, mask=None: call(inputs, training=True, mask=mask)

    for norm in norms:
        # Past Keras' own setter, which looks for things to track.
        object.__setattr__(norm, "call", in_training(norm.call))
    try:
        yield
    finally:
        for norm in norms:
            object.__delattr__(norm, "call")


def _assigned(model: keras.Model, variable: keras.Variable) -> str:
    """Says that a layer moves what the learner is to move."""
    owners = {
        path: type(layer).__name__
        for path, layer in iterate_layers(model)
        if any(variable is v for v in layer.trainable_variables)
    }
    layers = " in ".join(f"{path!r} ({kind})" for path, kind in reversed(owners.items()))
    return (
        f"a layer of model {model.name!r} assigns to its trainable variable {variable.path!r} when "
        "it is called, as SpectralNormalization does, and what it assigns would be lost: while a "
        f"task is learned, no variable is. The variable belongs to layer {layers}: leave such "
        "layers out, or make them compute with a value of their own."
    )


def _state_resets(model: keras.Model) -> dict[int, Any]:
    """Maps the id of each state variable that a new task resets to how it is reset."""
    resets: dict[int, Any] = {id(v): RANDOM_STATE for v in random_state_variables(model)}
    for layer in (model, *(layer for _, layer in iterate_layers(model))):
        # A frozen batch norm runs in inference mode and keeps the statistics it came with.
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            resets[id(layer.moving_mean)] = layer.moving_mean_initializer
            resets[id(layer.moving_variance)] = layer.moving_variance_initializer
    return resets
