"""What evaluation watches along the inner loop."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from warptf.adaptation import Adapted, InnerProblem, InnerState, InnerStep, Start, Tensors
from warptf.meta_learners.task_metrics import TaskMetrics
from warptf.reported import reported_dtype

Curve = dict[str, tf.TensorArray]


class LearningCurves:
    """Observes loss and metrics on the batch of each step, before the step is taken.

    Args:
        metrics: the metrics.
        steps: number of steps.
    """

    def __init__(self, metrics: TaskMetrics, steps: int) -> None:
        self._metrics = metrics
        self._steps = steps

    def begin(self, start: Start) -> Curve:
        """Returns empty curves."""
        return {
            name: tf.TensorArray(reported_dtype(), self._steps, element_shape=())
            for name in ("loss", *self._metrics.names)
        }

    def observe(self, k: tf.Tensor, step: InnerStep, carry: Curve) -> Curve:
        """Writes what the step's batch gives."""
        values = {
            "loss": tf.cast(step.output.reported["loss"], reported_dtype()),
            **self._metrics(step.output, *step.batch[1:]),
        }
        return {name: curve.write(k, values[name]) for name, curve in carry.items()}

    def end(self, adapted: Adapted, carry: Curve) -> dict[str, tf.Tensor]:
        """Returns the curves, each `[K]`."""
        return {name: curve.stack() for name, curve in carry.items()}


class StatesAlong:
    r"""Observes something at each state of adaptation, $k = 0..K$. Subclasses implement `look`.

    Args:
        specs: what it is at one state.
        steps: number of steps $K$.
    """

    def __init__(self, specs: Sequence[tf.TensorSpec], steps: int) -> None:
        self._specs = specs
        self._steps = steps

    def look(self, state: InnerState) -> Tensors:
        """Returns what there is to see.

        Args:
            state: a state of adaptation.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement look().")

    def begin(self, start: Start) -> list[tf.TensorArray]:
        """Returns empty records."""
        return [tf.TensorArray(spec.dtype, self._steps + 1) for spec in self._specs]

    def observe(
        self, k: tf.Tensor, step: InnerStep, carry: list[tf.TensorArray]
    ) -> list[tf.TensorArray]:
        """Writes what there is to see before the step."""
        return self._written(k, step.before, carry)

    def end(self, adapted: Adapted, carry: list[tf.TensorArray]) -> Tensors:
        """Returns the records, each `[K + 1, ...]`."""
        last = self._written(self._steps, adapted.final, carry)
        return [array.stack() for array in last]

    def _written(
        self, k: Any, state: InnerState, arrays: list[tf.TensorArray]
    ) -> list[tf.TensorArray]:
        return [array.write(k, v) for array, v in zip(arrays, self.look(state), strict=True)]


class ParametersAlong(StatesAlong):
    r"""Observes the parameters of each state, $\theta_0..\theta_K$, context included."""

    def look(self, state: InnerState) -> Tensors:
        """Returns the parameters."""
        return state.moving


class PredictionsAlong(StatesAlong):
    """Observes the predictions of each state, out of training mode.

    Args:
        specs: the predictions of one state.
        steps: number of steps.
        problem: the inner problem.
        phi: warp parameters.
        x: inputs.
    """

    def __init__(
        self,
        specs: Sequence[tf.TensorSpec],
        steps: int,
        problem: InnerProblem,
        phi: Tensors,
        x: Any,
    ) -> None:
        super().__init__(specs, steps)
        self._problem = problem
        self._phi = phi
        self._x = x

    def look(self, state: InnerState) -> Tensors:
        """Returns the predictions."""
        predicted = self._problem.predict(state.moving, self._phi, state.state, self._x)
        return tf.nest.flatten(predicted)
