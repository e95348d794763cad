"""What scoring and serving, parts of every meta-learner with an inner loop, use of it."""

import contextlib
from typing import Any, Protocol

import keras
import tensorflow as tf

from warptf.adaptation import InnerProblem
from warptf.compiled_loss import CompiledLoss
from warptf.initializations.initialization import Initialization
from warptf.inner_optimizers.inner_optimizer import InnerOptimizer
from warptf.meta_learners.loss_scales import LossScales
from warptf.meta_learners.outer_update import OuterUpdate
from warptf.meta_learners.task_data import TaskData
from warptf.meta_learners.task_mapping import TaskMapping
from warptf.meta_learners.task_metrics import TaskMetrics
from warptf.objectives.objective import Objective
from warptf.partition import FunctionalLearner
from warptf.tasks.task import Task


class AdaptingLearner(Protocol):
    """A meta-learner with an inner loop, as its parts see it; `MetaLearner` says what each is."""

    model: keras.Model
    inner_optimizer: InnerOptimizer
    objective: Objective | None
    initialization: Initialization
    inner_steps: int
    evaluation_steps: int | None
    seed: int
    initialization_weight: float
    meta_step: keras.Variable
    _learner: FunctionalLearner
    _problem: InnerProblem
    _loss: CompiledLoss
    _outer: OuterUpdate
    _loss_scales: LossScales | None
    _task_metrics: TaskMetrics
    _model_input: Any
    _label_spec: Any
    _data: TaskData
    _is_compiled: bool
    _derivatives_checked: bool
    _mapping: TaskMapping
    _score_function: Any
    _along_function: Any
    _adapt_function: Any

    @property
    def _evaluation_steps(self) -> int:
        """Inner steps where a task is scored or served."""

    def _checked_count(self, name: str, value: Any) -> int:
        """Returns a number of inner steps, checked."""

    def _check_compiled(self, what: str) -> None:
        """Refuses what needs a loss, before there is one."""

    def _check_model(self) -> None:
        """Checks that the model is the one that the meta-learner was made for."""

    def _problem_in(self, task: Task, where: str) -> tf.Tensor:
        """Returns what is wrong with the numbers of a meta-batch, in words."""

    def _prepare(self, data: Any, steps: int, where: str, query_steps: bool = True) -> Task:
        """Checks the first meta-batch of data."""

    def _checked(self, data: tf.data.Dataset, where: str) -> tf.data.Dataset:
        """Returns data that fail where a meta-batch has a problem."""

    def _resolve_specs(self, support: Any, query: Any) -> None:
        """Makes losses and metrics for the targets of tasks."""

    def _losses_scaled(self, scoring: bool = False) -> contextlib.AbstractContextManager[None]:
        """Returns the context in which losses are differentiated."""

    def _track(
        self, values: dict[str, tf.Tensor], weight: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Adds values to the means that are reported."""
