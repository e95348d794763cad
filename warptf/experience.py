"""The base class of what a learner learns from in a stream of tasks."""

import contextlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import keras
import tensorflow as tf

from warptf.layers.registration import register_layer_class
from warptf.partition import FunctionalLearner

Tensors = list[tf.Tensor]
StreamPart = Literal["support", "query"]


class Learned(NamedTuple):
    r"""What a batch of a stream teaches.

    Attributes:
        loss: a scalar.
        theta: its gradient in $\theta$.
        phi: its gradient in $\phi$.
        metrics: what else is to be reported, scalars by name.
    """

    loss: tf.Tensor
    theta: Tensors
    phi: Tensors
    metrics: dict[str, tf.Tensor]


class Experience:
    r"""Where losses and their gradients come from, for a learner without an inner loop.

    A batch of a stream becomes a record: of labelled examples, those themselves; of environments,
    the episodes that the learner lived in them. From a record the loss is computed as often as
    needed, also with other parameters.
    """

    metric_names: Sequence[str] = ()
    """Names of the metrics that `learn` and `score` report."""
    keras_metrics: Sequence[keras.metrics.Metric] = ()
    """Those of Keras among them, as its callbacks find them, once the data were seen."""
    separate_query: bool = True
    r"""Whether $L_{meta}$ has a batch of its own, also where $\theta$'s own would do."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Registers the subclass, so that Keras finds it when loading."""
        super().__init_subclass__(**kwargs)
        register_layer_class(cls)

    def compile_for(self, learner: FunctionalLearner) -> None:
        """Takes notice of the learner, before names of metrics are asked for.

        Args:
            learner: the functional view of the model.

        Raises:
            ValueError: losses or metrics do not fit the learner.
        """

    def prepare(self, learner: FunctionalLearner, data: tf.data.Dataset, where: str) -> None:
        """Checks the data that a learner is about to be given.

        Args:
            learner: the functional view of the model.
            data: the data.
            where: what they are for, for messages.

        Raises:
            TypeError: they are of another kind.
            ValueError: they do not fit the learner.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement prepare().")

    def checked(
        self, learner: FunctionalLearner, data: tf.data.Dataset, where: str
    ) -> tf.data.Dataset:
        """Returns data that fail at the first batch which cannot be learned from.

        Args:
            learner: the functional view of the model.
            data: the data.
            where: what they are for, for messages.
        """
        return data

    def record(
        self,
        learner: FunctionalLearner,
        theta: Tensors,
        phi: Tensors,
        data: Any,
        seed: tf.Tensor,
        part: StreamPart,
    ) -> Any:
        r"""Returns the record of a batch.

        Args:
            learner: the functional view of the model.
            theta: task parameters.
            phi: warp parameters.
            data: the batch.
            seed: two integers, different for each batch, and for a part of a batch on each replica
                the same: what is random must not depend on the replicas.
            part: `"support"`, for the step of $\theta$, or `"query"`, for $L_{meta}$.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement record().")

    def learn(
        self, learner: FunctionalLearner, theta: Tensors, phi: Tensors, record: Any, seed: tf.Tensor
    ) -> Learned:
        """Returns the loss of a record and its gradients.

        Args:
            learner: the functional view of the model.
            theta: task parameters.
            phi: warp parameters.
            record: what `record` returned.
            seed: the batch's seed.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement learn().")

    def score(
        self, learner: FunctionalLearner, theta: Tensors, phi: Tensors, data: Any, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns loss and metrics of a batch that is not learned from.

        Args:
            learner: the functional view of the model.
            theta: task parameters.
            phi: warp parameters.
            data: the batch.
            seed: two integers, different for each batch.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement score().")

    def failures_named(self) -> contextlib.AbstractContextManager[None]:
        """Returns the context of `fit` and `evaluate`, which says what failed outside of graphs."""
        return contextlib.nullcontext()

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Experience":
        """Makes the experience from what `get_config` returned."""
        return cls(**keras.saving.deserialize_keras_object(config))
