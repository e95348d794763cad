"""The base of all meta-learners that adapt by an inner loop."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from warptf.adaptation import InnerProblem
from warptf.compiled_loss import compiled_losses
from warptf.initializations.fixed import Fixed
from warptf.initializations.initialization import Initialization
from warptf.inner_optimizers.inner_optimizer import InnerOptimizer
from warptf.meta_learners.argument_checks import check_kind
from warptf.meta_learners.default_objective import resolved_objective
from warptf.meta_learners.label_spec import spec_config, spec_from_config
from warptf.meta_learners.learner_model import LearnerModel
from warptf.meta_learners.part_configs import deserialized, serialized
from warptf.meta_learners.serving import Serving
from warptf.meta_learners.task_checking import TaskChecking
from warptf.meta_learners.task_checks import (
    check_ends,
    check_no_weights,
)
from warptf.meta_learners.task_data import TaskData
from warptf.meta_learners.task_mapping import TaskMapping, Vectorize, checked_vectorize
from warptf.meta_learners.task_metrics import Metrics, TaskMetrics
from warptf.meta_learners.task_scoring import TaskScoring
from warptf.meta_learners.task_training import TaskTraining
from warptf.meta_learners.what_is_learned import check_learns, check_needs
from warptf.needs import Need
from warptf.objectives.objective import Objective
from warptf.objectives.warp_grad import WarpGrad
from warptf.partition import input_spec

Tensors = list[tf.Tensor]

BATCH_NORMS = ("support", "transductive")
_PARTS = ("model", "inner_optimizer", "objective", "initialization")


class MetaLearner(TaskScoring, Serving, TaskTraining, TaskChecking, LearnerModel):
    r"""A Keras model that learns how another one adapts.

    `fit` runs meta-steps on a data set of `warptf.tasks.Task`s, `evaluate` adapts to each task's
    support set and scores the query set, `adapt` gives back an ordinary Keras model.

    The values of $\theta_0$ and $\phi$ are those of the variables of `model`, which meta-training
    moves; the values of its state variables are never assigned.

    Args:
        model: a built Keras model with task layers and, for an objective, warp layers.
        inner_optimizer: the update rule $u$ of the inner loop.
        inner_steps: $K \ge 1$, the number of inner steps in training; or 0 for a model with a
            head that starts from the support set (`layers.ClassMeanHead`).
        objective: what $\phi$ minimises, or `None` to leave $\phi$ alone. `"auto"` follows the
            model: `WarpGrad()` where it has warp variables or the inner optimizer learned values,
            else `None`.
        initialization: what $\theta_0$ minimises.
        initialization_weight: $\lambda$ of Eq. 9. Defaults to 1.
        evaluation_steps: inner steps in `evaluate` and `adapt`; `inner_steps` if `None`.
        seed: an integer from which all random numbers derive. Defaults to 0.
        batch_norm: the statistics that batch norm uses where a task is scored: `"support"`, those
            that adaptation gathered on the support set; or `"transductive"`, those of the batch
            that is scored, as in MAML's own experiments, so that the prediction for one image
            depends on the others. In training, steps and meta loss always use the batch's.
            Defaults to `"support"`.
        **kwargs: `name` and other arguments of `keras.Model`.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number out of range, or a model without task variables, or an objective for a
            model without warp variables.
    """

    _optimizer_of: Mapping[str, str] = {
        "theta_0": "initialization_optimizer",
        "hyper": "rate_optimizer",
    }
    _times: Sequence[Sequence[str]] = (("phi", "theta_0", "hyper"),)
    _offers: Sequence[Need] = (Need.INNER_LOOP, Need.WHOLE_ADAPTATION)
    """The ways in which an objective can be learned."""

    def __init__(
        self,
        model: keras.Model,
        inner_optimizer: InnerOptimizer,
        inner_steps: int,
        objective: Objective | Literal["auto"] | None = None,
        initialization: Initialization | None = None,
        initialization_weight: float = 1.0,
        evaluation_steps: int | None = None,
        seed: int = 0,
        batch_norm: str = "support",
        **kwargs: Any,
    ) -> None:
        check_kind("model", model, keras.Model)
        super().__init__(model, **kwargs)
        if batch_norm not in BATCH_NORMS:
            raise ValueError(f"batch_norm must be one of {BATCH_NORMS}, got {batch_norm!r}.")
        initialization = Fixed() if initialization is None else initialization
        check_kind("inner_optimizer", inner_optimizer, InnerOptimizer)
        check_kind("initialization", initialization, Initialization)
        self.inner_optimizer = initialization.inner_optimizer(inner_optimizer)
        self.inner_steps = self._checked_count("inner_steps", inner_steps)
        self.initialization = initialization
        self.initialization_weight = float(initialization_weight)
        self.evaluation_steps = (
            None
            if evaluation_steps is None
            else self._checked_count("evaluation_steps", evaluation_steps)
        )
        self.seed = int(seed)
        self.batch_norm = batch_norm
        self.inner_optimizer.build_for(self._learner.theta_variables)
        shared = (*self.partition.warp_variables, *self.inner_optimizer.trainable_variables)
        self.objective = resolved_objective(objective, WarpGrad(), model.name, shared)
        check_needs(
            self.objective, initialization, self._offers, self.inner_steps, type(self).__name__
        )
        self.meta_step = self._same_everywhere("meta_step", (), "int64")
        self._model_input = input_spec(model)
        self._label_spec: Any = None
        self._is_compiled = False
        self.built = True

    # Compiling.

    def compile(
        self,
        optimizer: Any = "sgd",
        loss: Any = None,
        metrics: Metrics | None = None,
        *,
        loss_weights: Any = None,
        weighted_metrics: Metrics | None = None,
        meta_loss: Any = None,
        initialization_optimizer: Any = None,
        rate_optimizer: Any = None,
        jit_compile: bool | str = False,
        vectorize_tasks: Vectorize = "auto",
        **kwargs: Any,
    ) -> None:
        r"""Sets the outer optimizers, the loss and the metrics.

        Args:
            optimizer: Keras optimizer of all that is meta-learned and has no optimizer of its own:
                warp parameters $\phi$, $\theta_0$ and learned rates. It is the one that Keras'
                callbacks act on.
            loss: Keras loss of the tasks, $L_{task}$; for several outputs a list or dict of them.
            metrics: Keras metrics, computed per task and averaged over tasks; for several outputs
                a list or dict of lists.
            loss_weights: weights of the losses of several outputs, in $L_{task}$ and $L_{meta}$.
            weighted_metrics: metrics that the weights of examples weigh.
            meta_loss: Keras loss of the query sets, $L_{meta}$; the same as `loss` if `None`.
            initialization_optimizer: Keras optimizer of $\theta_0$; `optimizer` if `None`.
            rate_optimizer: Keras optimizer of the inner optimizer's learned values; `optimizer` if
                `None`.
            jit_compile: what XLA compiles: nothing, `False` (default); a meta-step as one, `True`;
                or, `"tasks"`, the part of a meta-step and of an evaluation that learns one task.
                It pays where adaptation is long and the learner small. On a CPU, compiled tasks
                run one after another.
            vectorize_tasks: whether the tasks of a meta-batch (of each replica) are learned
                together, as one batch with weights of its own for each task: `True`, `False`, or
                `"auto"`, where a GPU is visible. It needs the memory of all tasks at once; a number
                has so many learned together at most. Results are those of tasks learned one after
                the other, to rounding. What cannot be computed for all tasks at once is learned one
                after the other, and a warning names the operation. Defaults to `"auto"`.
            **kwargs: `steps_per_execution`, `run_eagerly` of `keras.Model.compile`.

        Raises:
            TypeError: `metrics` is neither list nor dict.
            ValueError: no loss, one that does not fit the outputs, unknown metrics, the same object
                as two optimizers of groups, an optimizer that was built on other variables, or an
                unknown `jit_compile` or `vectorize_tasks`.
        """
        if jit_compile not in (False, True, "tasks"):
            raise ValueError(f'jit_compile must be True, False or "tasks", got {jit_compile!r}.')
        self._check_model()
        self._loss, self._meta_loss = compiled_losses(self.model, loss, meta_loss, loss_weights)
        self._task_metrics = TaskMetrics(metrics, weighted_metrics, self._loss)
        self._data = TaskData(
            self.model, self._model_input, self._loss, self._meta_loss, self._task_metrics
        )
        # A loss or metrics given to Keras here would make `fit` call the model on a batch of tasks.
        super().compile(optimizer=optimizer, jit_compile=jit_compile is True, **kwargs)
        jit = False if self.run_eagerly else jit_compile
        self._mapping = TaskMapping(checked_vectorize(vectorize_tasks), jit)
        self._compile_outer_update(
            {
                "initialization_optimizer": initialization_optimizer,
                "rate_optimizer": rate_optimizer,
            }
        )
        self._problem = InnerProblem(
            self._learner,
            self.inner_optimizer,
            self._loss,
            transductive=self.batch_norm == "transductive",
            meta_loss=self._meta_loss,
        )
        self._trackers = {
            name: self._reported_mean(name) for name in ("loss", *self._task_metrics.names)
        }
        self._compile_arguments = {
            "jit_compile": jit_compile,
            "vectorize_tasks": vectorize_tasks,
            **kwargs,
        }
        self._score_function: Callable[..., Any] | None = None
        self._along_function: Callable[..., Any] | None = None
        self._adapt_function: Callable[..., Any] | None = None
        self._derivatives_checked = False
        self._is_compiled = True

    def _metrics_of_keras(self) -> list[keras.metrics.Metric]:
        return self._task_metrics.listed

    def _groups(self) -> dict[str, Sequence[keras.Variable]]:
        """Returns all that can be meta-learned, as groups of variables by name."""
        parts = self.partition
        return {
            "phi": parts.warp_variables,
            "theta_0": parts.task_variables,
            "hyper": self.inner_optimizer.trainable_variables,
        }

    def _moving(self) -> list[str]:
        """Returns the names of the groups that meta-training moves."""
        by_objective = [] if self.objective is None else ["phi", "hyper"]
        return [*by_objective, *(["theta_0"] if self.initialization.learns else [])]

    def _check_learns(self) -> None:
        """Refuses to train where nothing would move."""
        check_learns(self.objective, self.initialization, self.inner_optimizer)

    def get_compile_config(self) -> dict[str, Any]:
        """Returns the arguments of `compile`, serialised; nothing before it was called."""
        if not self._is_compiled:
            return {}
        given = {
            **self._optimizers_given(),
            "loss": self._loss.given,
            "loss_weights": self._loss.given_weights,
            "meta_loss": None if self._meta_loss is self._loss else self._meta_loss.given,
            "metrics": self._task_metrics.given,
            "weighted_metrics": self._task_metrics.given_weighted,
        }
        return keras.saving.serialize_keras_object({**given, **self._compile_arguments})

    # Training.

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Meta-trains on a data set of tasks, as `keras.Model.fit` trains on one of examples.

        Args:
            x: a `tf.data.Dataset` of `warptf.tasks.Task`s, each a meta-batch.
            *args: as in `keras.Model.fit`.
            **kwargs: as in `keras.Model.fit`.

        Returns:
            Keras' history.

        Raises:
            TypeError: the data are no tasks.
            ValueError: wrong shapes; in any meta-batch numbers that are not finite, labels that are
                no class, or no examples; data without end and no `steps_per_epoch`; a
                meta-learner that has nothing to learn; or one that differentiates a model twice for
                which TensorFlow cannot do that right.
        """
        self._check_compiled("fit")
        self._check_learns()
        check_no_weights(kwargs)
        check_ends(x, kwargs.get("steps_per_epoch"), "training", "steps_per_epoch")
        first = self._prepare(x, self.inner_steps, "training")
        self._check_training_task(first)
        self._check_derivatives(first)
        validation = kwargs.get("validation_data")
        if validation is not None:
            check_ends(validation, kwargs.get("validation_steps"), "validation", "validation_steps")
            self._prepare(validation, self._evaluation_steps, "validation", query_steps=False)
            validation = self._checked(validation, "validation")
            validation = self._shared(validation, kwargs, "validation_steps", "validation")
            kwargs["validation_data"] = validation
        # Tasks come in the order of the data set, which Keras would otherwise warn about.
        kwargs.setdefault("shuffle", False)
        x = self._checked(x, "training")
        x = self._shared(x, kwargs, "steps_per_epoch", "training")
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Adapts to each task's support set and scores its query set.

        Args:
            x: a `tf.data.Dataset` of `warptf.tasks.Task`s.
            *args: as in `keras.Model.evaluate`.
            **kwargs: as in `keras.Model.evaluate`.

        Returns:
            As `keras.Model.evaluate`: the loss and the metrics, computed per task and averaged.
        """
        self._check_compiled("evaluate")
        if not kwargs.get("_use_cached_eval_dataset"):
            check_no_weights(kwargs)
            check_ends(x, kwargs.get("steps"), "evaluation", "steps")
            self._prepare(x, self._evaluation_steps, "evaluation", query_steps=False)
            x = self._checked(x, "evaluation")
            x = self._shared(x, kwargs, "steps", "evaluation")
        return super().evaluate(x, *args, **kwargs)

    # Saving.

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, serialised."""
        return {
            "name": self.name,
            **serialized(self, _PARTS),
            "inner_steps": self.inner_steps,
            "initialization_weight": self.initialization_weight,
            "evaluation_steps": self.evaluation_steps,
            "seed": self.seed,
            "batch_norm": self.batch_norm,
            "label_spec": spec_config(self._label_spec),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "MetaLearner":
        """Builds the meta-learner from its configuration."""
        labels = config.get("label_spec")
        config = {key: value for key, value in config.items() if key != "label_spec"}
        learner = cls(**deserialized(config, _PARTS, custom_objects))
        learner.remember_labels(labels)
        return learner

    def remember_labels(self, labels: Any) -> None:
        """Remembers the kind of targets.

        Args:
            labels: as in `get_config`.
        """
        self._label_spec = spec_from_config(labels)
