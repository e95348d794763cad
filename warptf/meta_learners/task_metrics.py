"""Metrics as Keras computes them, one value per task."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from warptf.adaptation import LossOutput
from warptf.compiled_loss import CompiledLoss, initial_values, plain, spec_of
from warptf.partition import compile_metrics, listed_metrics, names_of_metrics
from warptf.reported import reported_dtype

Metrics = Sequence[Any] | dict[str, Any]


class TaskMetrics:
    """Computes what `keras.Model.compile` makes of metrics, without touching their variables.

    Args:
        metrics: Keras metrics, their names or configurations, as `keras.Model.compile` takes them:
            a list, or a list or dict of them for several outputs.
        weighted_metrics: those that the weights of examples weigh.
        loss: the loss, which knows the model's outputs.

    Attributes:
        names: names of what is reported, those of the losses of several outputs last.
        listed: the metrics as Keras' callbacks find them, once they are resolved.

    Raises:
        TypeError: metrics are neither list nor dict.
        ValueError: an unknown metric, metrics that do not fit the outputs, or one named "loss".
    """

    def __init__(
        self, metrics: Metrics | None, weighted_metrics: Metrics | None, loss: CompiledLoss
    ) -> None:
        self.given, self.given_weighted = metrics, weighted_metrics
        self._metrics = _resolved("metrics", metrics)
        self._weighted = _resolved("weighted_metrics", weighted_metrics)
        self._output_names = loss.output_names
        trial = self._compiled()
        trial.build(loss.symbolic_outputs, loss.symbolic_outputs)
        self.names = [*names_of_metrics(trial), *loss.names]
        if "loss" in self.names:
            raise ValueError(
                f'metrics must not be named "loss", which the loss itself is, got {metrics!r}: '
                "give the metric a name of its own."
            )
        self.listed: list[keras.metrics.Metric] = []
        self._built: Any = None
        self._initial: list[tuple[Any, Any]] = []

    def _compiled(self) -> Any:
        return compile_metrics(self._metrics, self._weighted, self._output_names)

    def resolve(self, y: Any, predictions: Any, sample_weight: Any = None) -> None:
        """Makes the metrics for the kind of targets, as Keras does at the first batch.

        Args:
            y: targets, tensors or their `TensorSpec`s, `[B, ...]`.
            predictions: the model's outputs, alike.
            sample_weight: weights of the examples, alike, or `None`.

        Raises:
            ValueError: a metric is no single number.
        """
        if self._built is not None:
            return
        built = self._compiled()
        specs = tf.nest.map_structure(spec_of, plain((y, predictions, sample_weight)))

        def trace(y: Any, predictions: Any, sample_weight: Any) -> Any:
            built.update_state(y, predictions, sample_weight)
            return built.result()

        if tf.distribute.has_strategy():
            # A traced function cannot make variables of several replicas.
            built.update_state(*tf.nest.map_structure(_zeros, specs))
            built.reset_state()
        # Variables are made here, while nothing is assigned: it is traced and never run.
        traced = tf.function(trace, autograph=False).get_concrete_function(*specs)
        for name, value in traced.structured_outputs.items():
            if value.shape.rank != 0:
                raise ValueError(
                    f"metric {name!r} has values of shape {value.shape}, but a metric is averaged "
                    "over tasks as a number: choose one that returns a scalar, for instance by "
                    'average="macro".'
                )
        self._initial = initial_values(built.variables)
        self.listed = [listed_metrics(built)]
        self._built = built

    def __call__(
        self, output: LossOutput, y: Any, sample_weight: Any = None
    ) -> dict[str, tf.Tensor]:
        """Returns the value of each metric on one task.

        Args:
            output: loss and predictions on the task's examples.
            y: their targets `[B, ...]`.
            sample_weight: `None`, or weights `[B]`.
        """
        self.resolve(y, output.predictions, sample_weight)
        # The metrics here are never updated in place: the scope starts from their initial values.
        with keras.StatelessScope(state_mapping=self._initial):
            self._built.update_state(*plain((y, output.predictions, sample_weight)))
            values = {**output.reported, **self._built.result()}
        return {name: tf.cast(values[name], reported_dtype()) for name in self.names}


def _zeros(spec: tf.TensorSpec | None) -> tf.Tensor | None:
    """Returns zeros of a kind, one example of them; nothing of what is absent."""
    if spec is None:
        return None
    return tf.zeros([1 if size is None else size for size in spec.shape], spec.dtype)


def _resolved(argument: str, metrics: Any) -> Any:
    """Returns metrics with configurations made to objects, and each of them checked."""
    if metrics is not None and not isinstance(metrics, (list, tuple, dict)):
        raise TypeError(f"{argument} must be a list or dict of Keras metrics, got {metrics!r}.")

    def resolve(part: Any) -> Any:
        if isinstance(part, dict) and "class_name" not in part:
            return {key: resolve(value) for key, value in part.items()}
        if isinstance(part, (list, tuple)):
            return [resolve(value) for value in part]
        if part is None or str(part).lower() in ("accuracy", "acc"):
            return part
        try:
            made = keras.metrics.get(part)
        except ValueError as error:
            raise ValueError(
                f"{argument} must be Keras metrics, their names or functions, got {part!r}."
            ) from error
        return made if isinstance(part, dict) else part

    return resolve(metrics)
