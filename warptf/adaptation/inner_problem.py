"""The inner problem: a learner, an update rule and two losses."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from warptf.adaptation.batches import Batch
from warptf.adaptation.inner_state import InnerState, Start
from warptf.adaptation.parameters import Parameters, Tensors
from warptf.compiled_loss import CompiledLoss
from warptf.inner_optimizers.inner_optimizer import InnerOptimizer
from warptf.loss_scaling import wide_enough
from warptf.partition import FunctionalLearner, LearnerOutput

# Folded into a task's seed for the inner optimizer's random numbers. The learner's random state
# folds in small numbers, the positions of its variables, and never meets this one.
_OPTIMIZER_STREAM = 0x6D61736B


class LossOutput(NamedTuple):
    """The loss on one batch, and what came with it.

    Attributes:
        loss: the scalar that is differentiated, penalties of the layers included.
        predictions: the model's output, `[B, ...]`.
        state: the learner's new state.
        reported: what Keras reports, scalars by name: `"loss"`, and with several losses that of
            each output.
    """

    loss: tf.Tensor
    predictions: Any
    state: Tensors
    reported: dict[str, tf.Tensor]


class InnerProblem:
    r"""The inner problem: a learner, an inner optimizer and a task loss, all as pure functions.

    $\theta_{k+1} = u(\theta_k, \nabla_\theta L_{task}(\theta_k; \phi))$ (section 2 of the paper).
    No variable is assigned, so the same code serves training, evaluation and export.

    Args:
        learner: the functional view of the model.
        optimizer: the update rule $u$.
        loss: $L_{task}$, a `CompiledLoss`, or a loss as Keras takes it.
        meta_loss: $L_{meta}$ likewise; the same as `loss` if `None`.
        transductive: whether batch norm uses the statistics of the batch at hand out of training,
            too, and not those that adaptation gathered. Defaults to `False`.
    """

    def __init__(
        self,
        learner: FunctionalLearner,
        optimizer: InnerOptimizer,
        loss: Any,
        transductive: bool = False,
        meta_loss: Any = None,
    ) -> None:
        self.learner = learner
        self.transductive = transductive
        self.optimizer = optimizer
        self._loss = _compiled(loss, learner)
        self._meta_loss = self._loss if meta_loss is None else _compiled(meta_loss, learner)

    def parameters(self) -> Parameters:
        """Returns what meta-training has learned so far, as values."""
        theta, context = self.learner.split(self.learner.initial_theta())
        return Parameters(theta, context, self.learner.warp_values(), self.optimizer.hyper_values())

    def start(
        self,
        parameters: Parameters,
        seed: tf.Tensor,
        support: Batch | None = None,
        state: Tensors | None = None,
    ) -> Start:
        """Returns where adaptation to a task starts.

        Args:
            parameters: what all tasks share.
            seed: two integers, different for each task.
            support: the whole support set, of which some layers start; `None` leaves them at the
                initialisation.
            state: the learner's state before; as at the start of every task if `None`.
        """
        moving = parameters.moving
        state = self.learner.initial_state(seed) if state is None else state
        if support is not None and self.learner.starts_from_support:
            moving, state = self.learner.start(moving, parameters.phi, state, support)
        optimizer = self.start_optimizer(moving, seed)
        inner = InnerState(parameters.theta, parameters.context, optimizer, state)
        return Start(inner.moved(moving), parameters)

    def start_optimizer(self, moving: Sequence[tf.Tensor], seed: tf.Tensor) -> Tensors:
        """Returns the inner optimizer's state in which adaptation to a task starts.

        Args:
            moving: what the inner loop moves, where it starts.
            seed: two integers, different for each task.
        """
        folded = tf.random.experimental.stateless_fold_in(seed, _OPTIMIZER_STREAM)
        return self.optimizer.init(moving, folded)

    def class_labels(self, y: Any) -> list[tuple[str, Any, int]]:
        """Returns name, targets and number of classes of each output with class indices.

        Args:
            y: targets of the task loss.
        """
        return self._loss.class_labels(y)

    def loss(
        self,
        theta: Sequence[tf.Tensor],
        phi: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        batch: Batch,
        training: bool = True,
    ) -> LossOutput:
        """Returns the task loss on a batch `(x, y)` or `(x, y, sample_weight)`."""
        return self._evaluate(self._loss, theta, phi, state, batch, training)

    def meta_loss(
        self,
        theta: Sequence[tf.Tensor],
        phi: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        batch: Batch,
        training: bool = True,
    ) -> LossOutput:
        """Returns the meta loss on a batch `(x, y)` or `(x, y, sample_weight)`."""
        return self._evaluate(self._meta_loss, theta, phi, state, batch, training)

    def loss_at(self, state: InnerState, shared: Parameters, batch: Batch) -> LossOutput:
        """Returns the task loss at a state of adaptation, in training mode.

        Args:
            state: the state.
            shared: warp parameters.
            batch: a batch of the task loss.
        """
        return self.loss(state.moving, shared.phi, state.state, batch)

    def meta_loss_at(self, state: InnerState, shared: Parameters, batch: Batch) -> LossOutput:
        """Returns the meta loss at a state of adaptation, in training mode.

        Args:
            state: the state.
            shared: warp parameters.
            batch: a batch of the meta loss.
        """
        return self.meta_loss(state.moving, shared.phi, state.state, batch)

    def _evaluate(
        self, loss: CompiledLoss, theta: Any, phi: Any, state: Any, batch: Batch, training: bool
    ) -> LossOutput:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        output = self._call(theta, phi, state, x, training)
        total, reported = loss(y, output.predictions, weight)
        total = wide_enough(total)
        if output.penalty is not None:
            total += tf.cast(output.penalty, total.dtype)
            whole = reported["loss"] + tf.cast(output.penalty, reported["loss"].dtype)
            reported = {**reported, "loss": whole}
        return LossOutput(total, output.predictions, output.state, reported)

    def predict(
        self,
        theta: Sequence[tf.Tensor],
        phi: Sequence[tf.Tensor],
        state: Sequence[tf.Tensor],
        x: Any,
    ) -> Any:
        """Returns the predictions of the learner on inputs, out of training mode."""
        return self._call(theta, phi, state, x, training=False).predictions

    def _call(self, theta: Any, phi: Any, state: Any, x: Any, training: bool) -> LearnerOutput:
        by_batch = self.transductive and not training
        return self.learner(theta, phi, state, x, training, batch_statistics=by_batch)


def _compiled(loss: Any, learner: FunctionalLearner) -> CompiledLoss:
    return loss if isinstance(loss, CompiledLoss) else CompiledLoss(loss, learner.model)
