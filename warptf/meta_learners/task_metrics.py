"""Keras metrics as pure functions, one value per task."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

_ACCURACY = ("accuracy", "acc")


class TaskMetrics:
    """Computes metrics on the predictions for one task, without touching their variables.

    Args:
        metrics: Keras metrics, their names or configurations.

    Raises:
        TypeError: `metrics` is no list.
        ValueError: an unknown metric, two of the same name, or one named "loss".
    """

    def __init__(self, metrics: Sequence[Any]) -> None:
        if not isinstance(metrics, (list, tuple)):
            raise TypeError(f"metrics must be a list of Keras metrics, got {metrics!r}.")
        self.given = list(metrics)
        self._metrics: list[keras.metrics.Metric] | None = None
        names = [self._name(m) for m in self.given]
        if len({"loss", *names}) <= len(names):
            raise ValueError(
                f'metrics must have different names, none of them "loss", got {names}: pass '
                "metric objects with a name of their own."
            )
        self.names = names

    @staticmethod
    def _name(metric: Any) -> str:
        if isinstance(metric, str) and metric in _ACCURACY:
            return metric
        try:
            made = keras.metrics.get(metric)
        except ValueError as error:
            raise ValueError(
                f"metrics must be Keras metrics, their names or functions, got {metric!r}."
            ) from error
        if isinstance(metric, str):
            return metric
        return made.name if isinstance(made, keras.metrics.Metric) else made.__name__

    def resolve(self, labels: tf.TensorSpec, predictions: tf.TensorSpec) -> None:
        """Makes the metrics for given targets and predictions.

        Args:
            labels: targets `[B, ...]`.
            predictions: the model's output `[B, ...]`.
        """
        if self._metrics is None:
            self._metrics = [self._make(m, labels, predictions) for m in self.given]
            for metric in self._metrics:
                # Some metrics make their variables at the first update, which must not be traced.
                metric.update_state(_zeros(labels), _zeros(predictions))
                metric.reset_state()

    def _make(self, metric: Any, labels: Any, predictions: Any) -> keras.metrics.Metric:
        if isinstance(metric, str) and metric in _ACCURACY:
            return self._accuracy(metric, labels, predictions)
        made = keras.metrics.get(metric)
        if isinstance(made, keras.metrics.Metric):
            return made
        return keras.metrics.MeanMetricWrapper(made, name=self._name(metric))

    @staticmethod
    def _accuracy(name: str, labels: Any, predictions: Any) -> keras.metrics.Metric:
        """Returns the accuracy that Keras means by its name, given the shapes."""
        if predictions.shape[-1] == 1:
            return keras.metrics.BinaryAccuracy(name=name)
        if len(labels.shape) < len(predictions.shape) or labels.shape[-1] == 1:
            return keras.metrics.SparseCategoricalAccuracy(name=name)
        return keras.metrics.CategoricalAccuracy(name=name)

    def __call__(self, predictions: Any, y: Any, sample_weight: Any = None) -> dict[str, tf.Tensor]:
        """Returns the value of each metric on one task's predictions.

        Args:
            predictions: the model's output `[B, ...]`.
            y: targets `[B, ...]`.
            sample_weight: `None`, or weights `[B]`.
        """
        values = {}
        for name, metric in zip(self.names, self._metrics or [], strict=True):
            # The metrics here are never updated in place: their variables hold the initial values.
            start = [tf.convert_to_tensor(v.value) for v in metric.variables]
            weights = {} if sample_weight is None else {"sample_weight": sample_weight}
            variables = metric.stateless_update_state(start, y, predictions, **weights)
            values[name] = tf.cast(metric.stateless_result(variables), tf.float32)
        return values


def _zeros(spec: Any) -> tf.Tensor:
    return tf.zeros([1 if size is None else size for size in spec.shape], spec.dtype)
