"""Losses as Keras computes them, without a variable being assigned."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from warptf.partition import (
    compile_loss,
    iterate_layers,
    losses_of_one_replica,
    losses_of_outputs,
    output_names,
    output_spec,
)


class LossValue(NamedTuple):
    """The loss on one batch.

    Attributes:
        total: the scalar that is differentiated. Where a loss has the reduction `"none"`, the sum
            over the examples, as in a gradient that Keras takes.
        reported: what Keras reports, scalars by name: `"loss"`, of examples the mean where there is
            no reduction, and with several losses `"<output>_loss"` of each, without its weight.
    """

    total: tf.Tensor
    reported: dict[str, tf.Tensor]


class CompiledLoss:
    """Computes the loss that `keras.Model.compile` makes of its arguments.

    As in Keras, targets are cast and their shapes matched with the outputs, masks and weights of
    examples count, each loss is reduced in its own way, and losses of several outputs are summed
    with their weights. Means are those of one replica.

    Args:
        loss: a Keras loss, its name or configuration, a function of `(y_true, y_pred)`, or a list
            or dict of these for several outputs, `None` for an output without loss.
        model: the model whose outputs are judged.
        loss_weights: weights of the losses of several outputs, in the same structure. Defaults to
            ones.

    Attributes:
        names: names of the losses of several outputs, `"<output>_loss"`.
        output_names: the model's names of its outputs, or `None`.
        output_losses: path in the outputs, loss and name of each.
        symbolic_outputs: the structure of the outputs.

    Raises:
        ValueError: there is no loss, one is unknown, or losses and weights do not fit the model's
            outputs; or the model has a loss or metrics of its own, beside those of `add_loss`.

    Example:
        >>> import keras, numpy as np
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> loss = CompiledLoss("mse", model)
        >>> targets, outputs = np.array([0.0, 2.0]), np.array([[1.0], [1.0]])
        >>> float(loss(targets, outputs).total)
        1.0
    """

    def __init__(self, loss: Any, model: keras.Model, loss_weights: Any = None) -> None:
        _check_that_nothing_is_lost(model)
        self.given, self.given_weights = loss, loss_weights
        self._loss = _resolved(loss)
        self._outputs = output_spec(model)
        self.output_names = output_names(model)
        self.symbolic_outputs = tf.nest.map_structure(_symbol, self._outputs)
        # The names need outputs alone; what depends on targets is made for the first of them.
        trial = self._compiled()
        try:
            trial.build(self.symbolic_outputs, self.symbolic_outputs)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"loss {loss!r} with loss_weights {loss_weights!r} does not fit the outputs "
                f"{self.output_names or self._outputs} of model {model.name!r}: {error}"
            ) from error
        self.output_losses = losses_of_outputs(trial)
        nested = tf.nest.is_nested(self.symbolic_outputs)
        if not self.output_losses or any(nested and not path for path, _, _ in self.output_losses):
            raise ValueError(
                "loss must hold a loss for at least one output, and none for what the model does "
                f"not return, got {loss!r}; the outputs are {self.output_names or self._outputs}."
            )
        self.names = [metric.name for metric in trial.metrics]
        self._built: Any = None
        self._initial: list[tuple[Any, Any]] = []

    def _compiled(self) -> Any:
        return compile_loss(self._loss, self.given_weights, self.output_names)

    def resolve(self, y: Any, predictions: Any, sample_weight: Any = None) -> None:
        """Makes what depends on the kind of targets, as Keras does at the first batch.

        Args:
            y: targets, tensors or their `TensorSpec`s, `[B, ...]`.
            predictions: outputs, alike.
            sample_weight: weights of the examples, alike, or `None`.
        """
        if self._built is not None:
            return
        built = self._compiled()
        specs = tf.nest.map_structure(spec_of, plain((y, predictions, sample_weight)))
        # Variables are made here, while nothing is assigned: it is traced and never run.
        with losses_of_one_replica():
            tf.function(built, autograph=False).get_concrete_function(*specs)
        self._initial = initial_values(built.variables)
        self._built = built

    def __call__(self, y: Any, predictions: Any, sample_weight: Any = None) -> LossValue:
        """Returns the loss of a batch.

        Args:
            y: targets `[B, ...]`, a structure of them for several outputs.
            predictions: the model's outputs `[B, ...]`.
            sample_weight: `None`, or weights `[B]` or as Keras takes them.
        """
        self.resolve(y, predictions, sample_weight)
        with keras.StatelessScope(state_mapping=self._initial), losses_of_one_replica():
            value = tf.convert_to_tensor(self._built(*plain((y, predictions, sample_weight))))
            reported = {metric.name: metric.result() for metric in self._built.metrics}
        return LossValue(tf.reduce_sum(value), {"loss": tf.reduce_mean(value), **reported})

    def class_labels(self, y: Any) -> list[tuple[str, Any, int]]:
        """Returns name, targets and number of classes of each output with class indices.

        Args:
            y: targets `[..., B, ...]`.
        """
        outputs = dict(keras.tree.flatten_with_path(self.symbolic_outputs))
        targets = self._flat_targets(y)
        if len(targets) == len(outputs):
            of_path = dict(zip(outputs, targets, strict=True))
        else:
            # There are targets for the outputs with a loss alone.
            paths = dict.fromkeys(path for path, _, _ in self.output_losses)
            of_path = dict(zip(paths, targets, strict=False))
        found = []
        for path, loss, name in self.output_losses:
            path = next(iter(outputs)) if len(outputs) == 1 else path
            classes = _class_count(loss, outputs.get(path))
            if classes is not None and path in of_path:
                found.append((name if len(outputs) > 1 else "", of_path[path], classes))
        return found

    def _flat_targets(self, y: Any) -> list[Any]:
        names = self.output_names
        sequence = isinstance(self.symbolic_outputs, (list, tuple))
        if isinstance(y, dict) and sequence and names and set(names) <= set(y):
            return [y[name] for name in names]
        return keras.tree.flatten(y)


def compiled_losses(
    model: keras.Model, loss: Any, meta_loss: Any, loss_weights: Any
) -> tuple[CompiledLoss, CompiledLoss]:
    """Returns the task loss and the meta loss, the same object where no meta loss is given.

    Args:
        model: the model whose outputs they are for.
        loss: the task loss, as Keras takes it.
        meta_loss: the meta loss alike, or `None`.
        loss_weights: weights of the losses of several outputs, in both.

    Raises:
        ValueError: no loss, or losses that are for different outputs.
    """
    compiled = CompiledLoss(loss, model, loss_weights)
    if meta_loss is None:
        return compiled, compiled
    of_query = CompiledLoss(meta_loss, model, loss_weights)
    if of_query.names != compiled.names:
        raise ValueError(
            f"loss and meta_loss must be for the same outputs, got {loss!r} and {meta_loss!r}."
        )
    return compiled, of_query


def _check_that_nothing_is_lost(model: keras.Model) -> None:
    """Refuses models that compute in Keras' own training what no meta-learner calls."""
    if type(model).compute_loss is not keras.Model.compute_loss:
        raise ValueError(
            f"model {model.name!r} has a compute_loss() of its own, which a meta-learner does not "
            "call: give it as the loss in compile, or add its terms by add_loss in a layer."
        )
    for path, layer in iterate_layers(model):
        if not isinstance(layer, keras.Model) and layer.metrics:
            raise ValueError(
                f"layer {path!r} keeps metrics of its own, {[m.name for m in layer.metrics]}, "
                "which a meta-learner does not report: leave them out, or give metrics of the "
                "outputs to compile."
            )


def _class_count(loss: Any, output: keras.KerasTensor | None) -> int | None:
    """Returns the number of classes if a loss takes class indices, all of them in range."""
    names = (getattr(loss, "name", None), getattr(getattr(loss, "fn", None), "__name__", None))
    if output is None or not any("sparse" in str(name) for name in names):
        return None
    config = loss.get_config()
    if config.get("ignore_class") is not None:
        return None
    return output.shape[config.get("axis", -1)]


def _resolved(loss: Any) -> Any:
    """Returns losses with configurations made to objects, and each of them checked."""
    if loss is None:
        raise ValueError(
            "loss must be a Keras loss, its name or a function of (y_true, y_pred); got None."
        )
    if isinstance(loss, dict) and "class_name" in loss:
        return keras.losses.get(loss)
    if isinstance(loss, dict):
        return {key: part if part is None else _resolved(part) for key, part in loss.items()}
    if isinstance(loss, (list, tuple)):
        # Of Python's own kind, whatever kind of list Keras or TensorFlow has made of it.
        parts = [part if part is None else _resolved(part) for part in loss]
        return tuple(parts) if isinstance(loss, tuple) else parts
    if str(loss).lower() not in ("crossentropy", "ce"):
        keras.losses.get(loss)
    return loss


def _symbol(spec: tf.TensorSpec) -> keras.KerasTensor:
    return keras.KerasTensor(spec.shape, spec.dtype.name)


def initial_values(variables: Sequence[keras.Variable]) -> list[tuple[keras.Variable, Any]]:
    """Returns each variable with its value, outside of any graph that is traced.

    Args:
        variables: variables of metrics.
    """
    with tf.init_scope():
        return [(variable, np.asarray(variable)) for variable in variables]


def plain(structure: Any) -> Any:
    """Returns a structure with dicts, lists and tuples of Python's own in place of kinds of them.

    Args:
        structure: the structure; Keras takes those that it and TensorFlow track for others.
    """
    if isinstance(structure, dict):
        return {key: plain(part) for key, part in structure.items()}
    if isinstance(structure, (list, tuple)):
        return (tuple if isinstance(structure, tuple) else list)(map(plain, structure))
    return structure


def spec_of(value: Any) -> tf.TensorSpec | None:
    """Returns shape and type of a tensor, an array or a spec; of `None` itself.

    Args:
        value: the tensor.
    """
    if value is None or isinstance(value, tf.TensorSpec):
        return value
    value = tf.convert_to_tensor(value)
    return tf.TensorSpec(value.shape, value.dtype)
