"""What all meta-learners are: Keras models around a model that is learned."""

import contextlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from warptf.layers.registration import register_layer_class
from warptf.loss_scaling import losses_scaled_by, needs_loss_scaling
from warptf.meta_learners.cross_replica_steps import CrossReplicaSteps
from warptf.meta_learners.finite_mean import FiniteMean
from warptf.meta_learners.loss_scales import LossScales
from warptf.meta_learners.optimizer_view import variables_of
from warptf.meta_learners.outer_update import OuterUpdate
from warptf.meta_learners.saving import Saving
from warptf.meta_learners.training_callbacks import (
    FinishAverages,
    refuse_idle,
    with_callback,
)
from warptf.meta_learners.worker_shares import shared
from warptf.partition import FunctionalLearner, Partition
from warptf.trainable_state import TrainableState
from warptf.value_checks import problems_as_errors


class LearnerModel(CrossReplicaSteps, Saving):
    """A Keras model that trains another one, and reports means over steps.

    Args:
        model: the model that is learned.
        **kwargs: `name` and other arguments of `keras.Model`.
    """

    _optimizer_of: Mapping[str, str] = {}
    """For groups of variables that may have an optimizer of their own, its name."""
    _times: Sequence[Sequence[str]] = ()
    """Which groups of variables move at the same time, those that move most often first."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Registers the subclass, so that Keras finds it when loading."""
        super().__init_subclass__(**kwargs)
        register_layer_class(cls)

    def __init__(self, model: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._fits = False
        self.model = model
        self._learner = FunctionalLearner(model)
        self._trainable_state = TrainableState(model)
        self._check_scope()
        self._trackers: dict[str, keras.metrics.Mean] = {}
        scales = needs_loss_scaling(model)
        self._loss_scales = LossScales(self._same_everywhere) if scales else None

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Predicts with the model as it stands."""
        return self.model(inputs, training=training)

    def __getattr__(self, name: str) -> Any:
        """Returns `optimizer` in place of one of a group's own, where none was given."""
        # An attribute beside `optimizer` for the same object would be saved, and in its place.
        if name in self._optimizer_of.values():
            return self.optimizer
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compiles as `keras.Model.compile`, to which no loss is given.

        Args:
            *args: as in `keras.Model.compile`.
            **kwargs: as in `keras.Model.compile`.

        Raises:
            ValueError: `auto_scale_loss` is given.
        """
        if "auto_scale_loss" in kwargs:
            raise ValueError(
                f"auto_scale_loss: got {kwargs['auto_scale_loss']!r}, but a meta-learner scales "
                "the losses of a model in mixed_float16 by itself, and no others: leave it out."
            )
        super().compile(*args, auto_scale_loss=False, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles from what `get_compile_config` returned."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def _groups(self) -> dict[str, Sequence[keras.Variable]]:
        """Returns all that can be learned, as groups of variables by name."""
        raise NotImplementedError(f"{type(self).__name__} must implement _groups().")

    def _moving(self) -> list[str]:
        """Returns the names of the groups that training moves."""
        raise NotImplementedError(f"{type(self).__name__} must implement _moving().")

    def _compile_outer_update(self, given: Mapping[str, Any]) -> None:
        """Gives each group of variables its optimizer.

        Args:
            given: what `compile` was given for the optimizers of groups, by name: a Keras
                optimizer, its name or configuration, or `None`.
        """
        own: dict[str, keras.optimizers.Optimizer] = {}
        for name, value in given.items():
            optimizer = None if value is None else keras.optimizers.get(value)
            if any(optimizer is other for other in own.values()):
                raise ValueError(
                    f"{' and '.join((*own, name))} move different variables and must be different "
                    "objects: make one instance for each, or give one `optimizer` for all."
                )
            if name in vars(self):
                delattr(self, name)
            if optimizer is not None and optimizer is not self.optimizer:
                own[name] = optimizer
                setattr(self, name, optimizer)
        self._own_optimizers = tuple(own)
        groups = self._groups()
        optimizers = {
            group: own.get(self._optimizer_of.get(group, ""), self.optimizer) for group in groups
        }
        self._outer: Any = OuterUpdate(groups, self._moving(), optimizers, self._times)

    def _optimizers_given(self) -> dict[str, Any]:
        """Returns the optimizers as `compile` is to be given them."""
        return {name: getattr(self, name) for name in ("optimizer", *self._own_optimizers)}

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Trains as `keras.Model.fit`, with all optimizers' averages written at its end.

        Args:
            *args: as in `keras.Model.fit`.
            **kwargs: as in `keras.Model.fit`.

        Raises:
            ValueError: a callback that acts on an optimizer which moves nothing, or that would
                save a model which could not be loaded; or a problem with the data, in any batch.
        """
        given = inspect.signature(super().fit).bind(*args, **kwargs).arguments
        self._check_saving(given.get("callbacks"))
        if not self._outer.moves_by(self.optimizer):
            refuse_idle(given.get("callbacks"), self.optimizer)
        finish = FinishAverages(lambda: self._outer.finish_averages(self.optimizer))
        given["callbacks"] = with_callback(given.get("callbacks"), finish)
        self._outer.start_averages()
        self._fits = True
        try:
            with problems_as_errors():
                return super().fit(**given)
        finally:
            self._fits = False

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Scores as `keras.Model.evaluate`.

        Args:
            *args: as in `keras.Model.evaluate`.
            **kwargs: as in `keras.Model.evaluate`.

        Raises:
            ValueError: there is a problem with the data, in any batch.
        """
        with problems_as_errors():
            return super().evaluate(*args, **kwargs)

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        """The variables that are trained; within `fit`, those that `optimizer` moves."""
        # At the end of `fit`, Keras has its optimizer write averages over these, in the order that
        # it was built on.
        return variables_of(self.optimizer) if self._fits else super().trainable_weights

    def _check_model(self) -> None:
        """Checks that the model is the one that the meta-learner was made for, where it was."""
        self._trainable_state.check()
        self._check_scope()

    def _check_scope(self) -> None:
        """Checks that model, meta-learner and what runs them belong to one strategy.

        Raises:
            ValueError: they do not.
        """
        own, current = self.distribute_strategy, tf.distribute.get_strategy()
        entered = tf.distribute.has_strategy() and current is not own
        if entered or not all(
            own.extended.variable_created_in_scope(v.value) for v in self.variables
        ):
            raise ValueError(
                "the model, the meta-learner and the scope it is used in belong to different "
                "tf.distribute strategies, so its variables are not where the replicas are: make "
                "the model and the meta-learner, compile and fit it within one strategy.scope()."
            )

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
        """The means that `fit` and `evaluate` report; within `fit`, also what they are means of."""
        means = list(self._trackers.values())
        # Keras' callbacks look there for the direction in which a metric improves.
        return [*means, *self._metrics_of_keras()] if self._fits else means

    def get_metrics_result(self) -> dict[str, Any]:
        """Returns the means so far, by name."""
        return {name: mean.result() for name, mean in self._trackers.items()}

    def _metrics_of_keras(self) -> list[keras.metrics.Metric]:
        """Returns the metrics that tasks are scored by, as Keras' callbacks find them."""
        return []
