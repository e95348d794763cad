"""How task parameters move on one task: the inner problem and the one loop that adapts."""

from warptf.adaptation.batches import (
    Batch,
    Batches,
    DrawnBatches,
    StepBatch,
    TaskBatches,
    batch_at,
    take_step,
    whole_set,
)
from warptf.adaptation.gradients import dense_gradient, gradient_along, tape_gradient
from warptf.adaptation.inner_problem import InnerProblem, LossOutput
from warptf.adaptation.inner_state import InnerState, Start
from warptf.adaptation.inner_step import InnerStep, Step, stepped
from warptf.adaptation.loop import Adapted, Observer, adapt, looking_ahead, plain
from warptf.adaptation.parameters import Parameters, Tensors
from warptf.adaptation.task_adaptation import TaskAdaptation

__all__ = [
    "Adapted",
    "Batch",
    "Batches",
    "DrawnBatches",
    "InnerProblem",
    "InnerState",
    "InnerStep",
    "LossOutput",
    "Observer",
    "Parameters",
    "Start",
    "Step",
    "StepBatch",
    "TaskAdaptation",
    "TaskBatches",
    "Tensors",
    "adapt",
    "batch_at",
    "dense_gradient",
    "gradient_along",
    "looking_ahead",
    "plain",
    "stepped",
    "take_step",
    "tape_gradient",
    "whole_set",
]
