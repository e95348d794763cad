"""Adaptation to one task, before it is run."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from warptf.adaptation.batches import Batches
from warptf.adaptation.inner_problem import InnerProblem
from warptf.adaptation.inner_state import Start
from warptf.adaptation.inner_step import Step
from warptf.adaptation.loop import Observer, plain
from warptf.adaptation.parameters import Parameters


class TaskAdaptation(NamedTuple):
    r"""All that adapting to one task takes.

    Attributes:
        problem: the inner problem.
        parameters: what all tasks share.
        seed: the task's own two integers.
        support: all examples of the support set.
        batches: the mini-batches of the steps.
        steps: $K$.
        step: what takes a step.
        observers: who watches the steps, whatever is learned from them.
    """

    problem: InnerProblem
    parameters: Parameters
    seed: tf.Tensor
    support: Any
    batches: Batches
    steps: int
    step: Step = plain
    observers: Sequence[Observer] = ()

    def start(self, parameters: Parameters | None = None) -> Start:
        """Returns where adaptation starts.

        Args:
            parameters: others in place of the task's own, to be differentiated.
        """
        return self.problem.start(parameters or self.parameters, self.seed, self.support)
