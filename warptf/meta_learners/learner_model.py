"""What all meta-learners are: Keras models around a model that is learned."""

import contextlib
from typing import Any

import keras
import tensorflow as tf

from warptf.layers.registration import register_layer_class
from warptf.loss_scaling import losses_scaled_by, needs_loss_scaling
from warptf.meta_learners.finite_mean import FiniteMean
from warptf.meta_learners.loss_scales import LossScales
from warptf.meta_learners.worker_shares import shared
from warptf.partition import FunctionalLearner, Partition


class LearnerModel(keras.Model):
    """A Keras model that trains another one, and reports means over steps.

    Args:
        model: the model that is learned.
        **kwargs: `name` and other arguments of `keras.Model`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Registers the subclass, so that Keras finds it when loading."""
        super().__init_subclass__(**kwargs)
        register_layer_class(cls)

    def __init__(self, model: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self._learner = FunctionalLearner(model)
        self._trackers: dict[str, keras.metrics.Mean] = {}
        scales = needs_loss_scaling(model)
        self._loss_scales = LossScales(self._same_everywhere) if scales else None

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Predicts with the model as it stands."""
        return self.model(inputs, training=training)

    @property
    def partition(self) -> Partition:
        """The `warptf.partition` of the model."""
        return self._learner.partition

    def _same_everywhere(
        self, name: str, shape: Any, dtype: Any, initial: float = 0.0
    ) -> keras.Variable:
        """Returns a variable that is not trained, with one value on all replicas."""
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer=keras.initializers.Constant(initial),
            trainable=False,
            aggregation="only_first_replica",
        )

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Keeps Keras from calling the model on a mean of the replicas' tasks, to build it."""

    def _shared(self, data: Any, kwargs: dict[str, Any], argument: str, where: str) -> Any:
        """Returns data with each worker's share, having set the number of steps they need.

        Args:
            data: the data set.
            kwargs: arguments of `fit` or `evaluate`, to be changed.
            argument: the one that is the number of steps.
            where: what the data is for, for messages.
        """
        data, steps = shared(data, kwargs.get(argument), self.distribute_strategy, where)
        if steps is not None:
            kwargs[argument] = steps
        return data

    def _track(
        self, values: dict[str, tf.Tensor], weight: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Adds weighted values to the means that are reported, and returns the means so far."""
        for name, value in values.items():
            # A step is begun before it is known that the data have ended: nothing may be counted
            # before the value is there.
            with tf.control_dependencies([value]):
                self._trackers[name].update_state(value, weight)
        return {name: self._trackers[name].result() for name in values}

    @property
    def loss_scale(self) -> float | None:
        """The factor of the losses of a model in `float16`; `None` of any other."""
        return None if self._loss_scales is None else float(self._loss_scales.training)

    def _reported_mean(self, name: str) -> keras.metrics.Mean:
        """Returns a mean to be reported, in `float16` of the steps that did not overflow."""
        kind = keras.metrics.Mean if self._loss_scales is None else FiniteMean
        return kind(name=name)

    def _losses_scaled(self, scoring: bool = False) -> contextlib.AbstractContextManager[None]:
        """Returns the context in which losses are differentiated: scaled in `float16`.

        Args:
            scoring: whether a task is learned to be scored or served, and not learned from.
        """
        scales = self._loss_scales
        if scales is None:
            return losses_scaled_by(None)
        return losses_scaled_by(scales.scoring if scoring else scales.training)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means that `fit` and `evaluate` report."""
        return list(self._trackers.values())
