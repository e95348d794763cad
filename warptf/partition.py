"""Which variable of a model is task, context, warp or state; and calling it with given values."""

import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras.src.losses import loss as keras_loss
from keras.src.trainers import compile_utils

from warptf.layers.support_initialized_layer import SupportInitializedLayer, starting_from
from warptf.layers.task_layer import TaskLayer
from warptf.layers.twice_differentiable import twice_differentiable
from warptf.layers.warp_layer import WarpLayer

TASK, CONTEXT, WARP = "task", "context", "warp"

Tensors = list[tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Partition:
    r"""The variables of a model by the part they play, each list in the model's own order.

    Attributes:
        task_variables: $\theta$, adapted by the inner loop from $\theta_0$.
        context_variables: $c$, adapted too, always from zero.
        warp_variables: $\phi$, frozen in adaptation.
        state_variables: $s$, not trainable: batch-norm statistics, random state, frozen weights.
    """

    task_variables: tuple[keras.Variable, ...]
    context_variables: tuple[keras.Variable, ...]
    warp_variables: tuple[keras.Variable, ...]
    state_variables: tuple[keras.Variable, ...]


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


def partition(model: keras.Model) -> Partition:
    """Sorts the variables of a model into task, context, warp and state variables.

    A trainable variable belongs to the innermost declaration around it: a `warptf.WarpLayer`, a
    `warptf.TaskLayer`, or a `warptf.designate`d layer; without one it is a task variable. A layer
    that is shared between a warp layer and undeclared places is a warp layer.

    Args:
        model: a built Keras model.

    Returns:
        The `Partition`, in the order of `model.trainable_variables`.

    Raises:
        TypeError: `model` is no Keras model.
        ValueError: the model is not built, or a layer is declared both warp and task.

    Example:
        >>> import keras, warptf
        >>> model = keras.Sequential(
        ...     [keras.Input((2,)), keras.layers.Dense(3), warptf.layers.WarpDense(3)])
        >>> parts = warptf.partition(model)
        >>> [v.name for v in parts.task_variables]
        ['kernel', 'bias']
        >>> [tuple(v.shape) for v in parts.warp_variables]
        [(3, 3), (3,)]

    Reference:
        arXiv 1909.00025, section 2.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a keras.Model, got {type(model).__name__}.")
    if not model.built:
        raise ValueError(
            f"model {model.name!r} is not built, so it has no variables to sort yet: call it on a "
            "batch, or give it an Input, first."
        )
    declared = _declarations(model)
    parts: dict[str, list[keras.Variable]] = {TASK: [], CONTEXT: [], WARP: []}
    for variable in model.trainable_variables:
        parts[_resolve(variable, declared)].append(variable)
    return Partition(
        tuple(parts[TASK]),
        tuple(parts[CONTEXT]),
        tuple(parts[WARP]),
        tuple(model.non_trainable_variables),
    )


def all_variables(model: keras.Model) -> list[keras.Variable]:
    """Returns the variables of a model, those that are trained first, in a reproducible order.

    Args:
        model: a built Keras model.
    """
    return [*model.trainable_variables, *model.non_trainable_variables]


def random_state_variables(model: keras.Model) -> list[keras.Variable]:
    """Returns the states of a model's random generators, in a reproducible order.

    Args:
        model: a built Keras model.
    """
    layers = (model, *(layer for _, layer in iterate_layers(model)))
    return [generator.state for layer in layers for generator in layer._seed_generators]


def iterate_layers(model: keras.layers.Layer, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields `(path, layer)` of all layers nested in `model`, outer before inner.

    Args:
        model: the layer or model to walk.
        prefix: what the paths start with.
    """
    for layer in child_layers(model):
        path = f"{prefix}{layer.name}"
        yield path, layer
        yield from iterate_layers(layer, f"{path}/")


def child_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the layers directly in `layer`, input layers left out, in a reproducible order.

    Args:
        layer: the layer or model to look into.
    """
    return [child for child in layer._layers if not isinstance(child, keras.layers.InputLayer)]


def _declarations(model: keras.Model) -> dict[int, set[str]]:
    """Maps the id of each variable to the declarations that reach it."""
    declared: dict[int, set[str]] = {}

    def walk(layer: Any, inherited: str | None, overrides: dict[int, str]) -> None:
        kind = overrides.get(id(layer)) or _own_declaration(layer) or inherited
        # A designated model carries the declarations for the layers below it.
        overrides = {**overrides, **getattr(layer, "designations", dict)()}
        for variable in layer._trainable_variables:
            kinds = declared.setdefault(id(variable), set())
            if kind is not None:
                kinds.add(kind)
        for child in layer._layers:
            walk(child, kind, overrides)

    walk(model, None, {})
    return declared


def _own_declaration(layer: Any) -> str | None:
    if isinstance(layer, WarpLayer):
        return WARP
    if isinstance(layer, TaskLayer):
        return CONTEXT if layer.context else TASK
    return None


def _resolve(variable: keras.Variable, declared: dict[int, set[str]]) -> str:
    kinds = declared.get(id(variable), set())
    if len(kinds) > 1:
        raise ValueError(
            f"variable {variable.path!r} belongs to a shared layer that is declared both "
            f"{' and '.join(sorted(kinds))}: declare it the same everywhere, or use two layers."
        )
    return next(iter(kinds), TASK)


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


RANDOM_STATE = object()


def _state_resets(model: keras.Model) -> dict[int, Any]:
    """Maps the id of each state variable that a new task resets to how it is reset."""
    resets: dict[int, Any] = {id(v): RANDOM_STATE for v in random_state_variables(model)}
    for layer in (model, *(layer for _, layer in iterate_layers(model))):
        # A frozen batch norm runs in inference mode and keeps the statistics it came with.
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            resets[id(layer.moving_mean)] = layer.moving_mean_initializer
            resets[id(layer.moving_variance)] = layer.moving_variance_initializer
    return resets


def input_spec(model: keras.Model) -> Any:
    """Returns shape and type of a model's input, `[None, ...]`, or a structure of such.

    Args:
        model: a built Keras model.

    Returns:
        A `tf.TensorSpec`, for a model of several inputs a structure of them, as the model takes it,
        with the inputs' names.

    Raises:
        ValueError: the model does not know the shape of its input.
    """
    graph = _described(model)
    if isinstance(graph, keras.Sequential) and graph.inputs:
        return _spec(graph.inputs[0])
    if hasattr(graph, "output_names"):
        return _specs(graph.input)
    # A subclassed model remembers the shapes that it was built with, the batch it was called on.
    shapes = list((graph._build_shapes_dict or {}).values())
    if not shapes or not shapes[0]:
        raise ValueError(
            f"model {model.name!r} does not know the shape of its input: call it on a batch first."
        )
    return _specs(_symbols_of_shapes(shapes[0], graph.input_dtype))


def output_spec(model: keras.Model) -> Any:
    """Returns shape and type of a model's output, `[None, ...]`, or a structure of such.

    Args:
        model: a built Keras model.

    Returns:
        A `tf.TensorSpec`, for a model of several outputs a structure of them, with their names.
    """
    graph = _described(model)
    if isinstance(graph, keras.Sequential) and graph.inputs:
        return _spec(graph.outputs[0])
    if hasattr(graph, "output_names"):
        names = {id(t): n for t, n in zip(graph.outputs, graph.output_names, strict=True)}
        return _specs(graph.output, names)
    symbols = tf.nest.map_structure(
        lambda s: keras.KerasTensor(s.shape, s.dtype.name, name=s.name), input_spec(model)
    )
    return _specs(model.compute_output_spec(symbols))


def output_names(model: keras.Model) -> list[str] | None:
    """Returns the names that Keras gives to the outputs of a graph of layers, or `None`.

    Args:
        model: a built Keras model.
    """
    return getattr(_described(model), "output_names", None)


def _described(model: keras.Model) -> keras.Model:
    """Returns the model within a designated one, which knows its inputs and outputs."""
    while hasattr(model, "designations"):
        model = model.model
    return model


def _symbols_of_shapes(shapes: Any, dtype: str) -> Any:
    """Returns symbols for a structure of shapes."""
    if all(isinstance(size, int | None) for size in shapes) and not isinstance(shapes, dict):
        return keras.KerasTensor(tuple(shapes), dtype)
    if isinstance(shapes, dict):
        return {key: _symbols_of_shapes(shape, dtype) for key, shape in shapes.items()}
    return tuple(_symbols_of_shapes(shape, dtype) for shape in shapes)


def _specs(symbols: Any, names: dict[int, str] | None = None) -> Any:
    """Returns specs of a structure of symbolic tensors, named by keys or by the tensors' names."""
    flat = keras.tree.flatten_with_path(symbols)
    if len(flat) == 1 and not isinstance(symbols, dict):
        return _spec(flat[0][1])
    specs = []
    for path, symbol in flat:
        keys = [key for key in path if isinstance(key, str)]
        if not keys or not isinstance(path[-1], str):
            keys.append((names or {}).get(id(symbol), symbol.name))
        specs.append(_spec(symbol, "_".join(keys)))
    return keras.tree.pack_sequence_as(symbols, specs)


def _spec(symbol: Any, name: str | None = None) -> tf.TensorSpec:
    return tf.TensorSpec((None, *symbol.shape[1:]), symbol.dtype, name)


def variables_of_layer(model: keras.Model, path: str | None = None) -> list[keras.Variable]:
    """Returns the trainable variables of one layer of a model.

    Args:
        model: a built Keras model.
        path: the layer's path in the model, its name for a direct child; the last layer that has
            trainable variables if `None`.

    Raises:
        ValueError: there is no such layer.
    """
    layers = {p: layer for p, layer in iterate_layers(model) if layer.trainable_variables}
    if path is None and layers:
        path = list(layers)[-1]
    if path not in layers:
        raise ValueError(
            f"model {model.name!r} has no layer {path!r} with trainable variables; it has "
            f"{sorted(layers)}."
        )
    return layers[path].trainable_variables


class _ReplicaScaling:
    """Counts the scopes that are open in all threads, for replicas are traced in turns."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth = 0
        self.originals = (
            keras_loss.scale_loss_for_distribution,
            keras_loss.unscale_loss_for_distribution,
        )

    def change(self, step: int) -> None:
        with self.lock:
            self.depth += step
            scale, unscale = (lambda value: value,) * 2 if self.depth else self.originals
            keras_loss.scale_loss_for_distribution = scale
            keras_loss.unscale_loss_for_distribution = unscale


_REPLICA_SCALING = _ReplicaScaling()


@contextlib.contextmanager
def losses_of_one_replica() -> Iterator[None]:
    """Keeps Keras from dividing mean losses by the number of replicas.

    Keras does so for gradients that are summed over replicas; a task is learned on one alone.
    """
    change = int(tf.distribute.get_strategy().num_replicas_in_sync > 1)
    _REPLICA_SCALING.change(change)
    try:
        yield
    finally:
        _REPLICA_SCALING.change(-change)


def compile_loss(loss: Any, loss_weights: Any, output_names: Any) -> Any:
    """Returns the function that `keras.Model.compile` makes of a loss.

    Args:
        loss: loss, or structure of losses.
        loss_weights: their weights, or `None`.
        output_names: names of the model's outputs, or `None`.
    """
    return compile_utils.CompileLoss(loss, loss_weights, output_names=output_names)


def compile_metrics(metrics: Any, weighted_metrics: Any, output_names: Any) -> Any:
    """Returns the metric that `keras.Model.compile` makes of all metrics.

    Args:
        metrics: list or dict of metrics, or `None`.
        weighted_metrics: those that sample weights weigh, or `None`.
        output_names: names of the model's outputs, or `None`.
    """
    return compile_utils.CompileMetrics(metrics, weighted_metrics, output_names=output_names)


def losses_of_outputs(compiled: Any) -> list[tuple[tuple[Any, ...], Any, str]]:
    """Returns path to the output, loss and name of each loss that `compile_loss` has built.

    Args:
        compiled: what `compile_loss` returned, built.
    """
    return [(path, loss, name) for path, loss, _, name in compiled._flat_losses]


def listed_metrics(compiled: Any) -> keras.metrics.Metric:
    """Returns built metrics in the one form in which Keras' callbacks look into them.

    Args:
        compiled: what `compile_metrics` returned, built.
    """
    return compile_utils.MetricsList(compiled.metrics)


def names_of_metrics(compiled: Any) -> list[str]:
    """Returns the names under which Keras reports built metrics.

    Args:
        compiled: what `compile_metrics` returned, built; of no further use.
    """
    for metrics in (*compiled._flat_metrics, *compiled._flat_weighted_metrics):
        if metrics is not None:
            # Their results may need data that are not there yet, their names do not.
            metrics.metrics = [keras.metrics.Mean(name=m.name) for m in metrics.metrics]
    return list(compiled.result())
