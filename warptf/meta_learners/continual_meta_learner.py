"""Algorithm 3: task and warp parameters learned together from a stream."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from warptf.adaptation import Tensors
from warptf.distribution import all_reduce_mean
from warptf.experience import Experience, Learned, StreamPart
from warptf.export import export_predictor
from warptf.meta_learners.argument_checks import check_kind, positive_integer
from warptf.meta_learners.default_objective import AUTO, resolved_objective
from warptf.meta_learners.gathered_gradients import GatheredSteps
from warptf.meta_learners.learner_model import LearnerModel
from warptf.meta_learners.part_configs import deserialized, serialized
from warptf.meta_learners.seeds import EVALUATION, TRAINING, task_seed
from warptf.meta_learners.supervised import experience_of
from warptf.meta_learners.task_checks import check_ends, check_no_weights
from warptf.meta_learners.task_mapping import TaskMapping, Vectorize, checked_vectorize
from warptf.meta_learners.task_metrics import Metrics
from warptf.needs import Need, check_offered
from warptf.objectives.objective import Objective
from warptf.objectives.stream_step import StreamStep
from warptf.objectives.warp_grad import WarpGrad
from warptf.reinforcement.recurrent_agent import RecurrentAgent
from warptf.reinforcement.served_agent import export_agent


@keras.saving.register_keras_serializable(package="warptf")
class ContinualMetaLearner(LearnerModel):
    r"""Algorithm 3: moves $\theta$ at every step of a stream, and $\phi$ at every $\eta$-th.

    At every step, $\theta$ moves along $\nabla_\theta L_{task}(\theta; \phi)$ of a batch of tasks
    by its own optimizer, and $\nabla_\phi \hat L(\phi; \theta)$ of the stepped $\theta$ is added to
    $g_\phi$; after $\eta$ steps $\phi$ moves along the mean of what was added. There is no inner
    loop and no initialisation: $\theta$ learns on, as long as the stream goes.

    The objective for $\phi$ is Eq. 8 by default, and none for a model without warp layers. With
    `WarpGrad("finite_difference")` it is Eq. 7: the second-order part $-\alpha \, \partial_\phi
    (\nabla_\theta L_{task}(\theta; \phi) \cdot v)$ is estimated from first derivatives, $\alpha$
    being the task optimizer's learning rate; the step that is looked ahead is one of gradient
    descent, whatever optimizer takes it.

    Args:
        model: a built Keras model with task layers and, for an objective, warp layers; for
            reinforcement learning a `warptf.reinforcement.RecurrentAgent`.
        objective: `WarpGrad("none")`, `WarpGrad("finite_difference")`, or another that can be
            learned from a stream; or `None` to leave $\phi$ alone. By default (`"auto"`) it
            follows the model: the first where there are warp variables, else `None`.
        warp_update_interval: $\eta$. Defaults to 30.
        seed: an integer from which all random numbers derive. Defaults to 0.
        **kwargs: `name` and other arguments of `keras.Model`.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number out of range, an objective that needs an inner loop, or a model without
            task variables, or without warp variables where there is an objective.

    Example:
        >>> import keras, numpy as np, tensorflow as tf, warptf
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4),
        ...     warptf.layers.WarpDense(4), keras.layers.Dense(1)])
        >>> learner = warptf.ContinualMetaLearner(model, warp_update_interval=2)
        >>> learner.compile(optimizer="sgd", task_optimizer="adam", loss="mse")
        >>> x, y = np.ones((4, 5, 2), "float32"), np.ones((4, 5, 1), "float32")
        >>> stream = tf.data.Dataset.from_tensors(warptf.tasks.Task((x, y), (x, y))).repeat(6)
        >>> history = learner.fit(stream, verbose=0)
        >>> int(learner.task_optimizer.iterations), int(learner.optimizer.iterations)
        (6, 3)

    Reference:
        arXiv 1909.00025, algorithm 3.
    """

    _optimizer_of: Mapping[str, str] = {"theta": "task_optimizer"}
    _times: Sequence[Sequence[str]] = (("theta",), ("phi",))
    _offers: Sequence[Need] = (Need.STREAM,)

    def __init__(
        self,
        model: keras.Model,
        objective: Objective | Literal["auto"] | None = AUTO,
        warp_update_interval: int = 30,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        check_kind("model", model, keras.Model)
        super().__init__(model, **kwargs)
        self.warp_update_interval = positive_integer("warp_update_interval", warp_update_interval)
        self.seed = int(seed)
        parts = self.partition
        self.objective = resolved_objective(
            objective, WarpGrad("none"), model.name, parts.warp_variables
        )
        if self.objective is not None:
            check_offered("objective", self.objective, self._offers, type(self).__name__)
        if parts.context_variables:
            raise ValueError(
                f"model {model.name!r} has context variables, which start from zero for every "
                "task and so learn nothing from a stream: leave them out."
            )
        self.meta_step = self._same_everywhere("meta_step", (), "int64")
        self._gathered = GatheredSteps(
            self._same_everywhere, {"phi": parts.warp_variables}, self._loss_scales
        )
        self.experience: Experience | None = None
        self.built = True

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        metrics: Metrics | None = None,
        *,
        loss_weights: Any = None,
        weighted_metrics: Metrics | None = None,
        task_optimizer: Any = None,
        jit_compile: bool = False,
        vectorize_tasks: Vectorize = "auto",
        **kwargs: Any,
    ) -> None:
        r"""Sets the optimizers and what is learned from.

        Args:
            optimizer: Keras optimizer of the warp parameters $\phi$, and of the task parameters
                $\theta$ if these have none of their own. Of both, it counts the steps of $\theta$
                in `iterations` and those of $\phi$ beside it.
            loss: a Keras loss, for a stream of labelled examples; or a
                `warptf.experience.Experience`, such as `warptf.reinforcement.ActorCritic`.
            metrics: Keras metrics, for a stream of labelled examples.
            loss_weights: weights of the losses of several outputs.
            weighted_metrics: metrics that the weights of examples weigh.
            task_optimizer: Keras optimizer of the task parameters $\theta$; `optimizer` if `None`.
            jit_compile: whether XLA compiles a step as one. Defaults to `False`.
            vectorize_tasks: whether the tasks of a batch are computed together, as in
                `MetaLearner.compile`; the episodes of an experience always are.
            **kwargs: `steps_per_execution`, `run_eagerly` of `keras.Model.compile`.

        Raises:
            TypeError: `metrics` is neither list nor dict.
            ValueError: no loss, unknown metrics, metrics for an experience that has its own, or an
                optimizer that was built on other variables.
        """
        mapping = TaskMapping(checked_vectorize(vectorize_tasks), jit_compile)
        experience = experience_of(loss, metrics, loss_weights, weighted_metrics, mapping)
        experience.compile_for(self._learner)
        self.experience = experience
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        self._compile_outer_update({"task_optimizer": task_optimizer})
        names = ("loss", *experience.metric_names)
        self._trackers = {name: self._reported_mean(name) for name in names}
        given = {"jit_compile": jit_compile, "vectorize_tasks": vectorize_tasks}
        self._compile_arguments = {**given, **kwargs}

    def _metrics_of_keras(self) -> list[keras.metrics.Metric]:
        return list(self._experience().keras_metrics)

    def _groups(self) -> dict[str, Sequence[keras.Variable]]:
        """Returns all that can be learned, as groups of variables by name."""
        return {"phi": self.partition.warp_variables, "theta": self.partition.task_variables}

    def _moving(self) -> list[str]:
        """Returns the names of the groups that training moves."""
        return ["theta"] if self.objective is None else ["theta", "phi"]

    def get_compile_config(self) -> dict[str, Any]:
        """Returns the arguments of `compile`, serialised; nothing before it was called."""
        if self.experience is None:
            return {}
        given = {**self._optimizers_given(), "loss": self.experience}
        return keras.saving.serialize_keras_object({**given, **self._compile_arguments})

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Learns from a stream, as `keras.Model.fit` learns from a data set of examples.

        Args:
            x: a `tf.data.Dataset` of `warptf.tasks.Task`s without step axis, or what the experience
                learns from (`ActorCritic.batches()`).
            *args: as in `keras.Model.fit`.
            **kwargs: as in `keras.Model.fit`.

        Returns:
            Keras' history.

        Raises:
            TypeError: the data are of another kind.
            ValueError: the data do not fit the model, or have no end and there is no
                `steps_per_epoch`.
        """
        check_no_weights(kwargs)
        self._prepare(x, "training", kwargs.get("steps_per_epoch"), "steps_per_epoch")
        validation = kwargs.get("validation_data")
        if validation is not None:
            steps = kwargs.get("validation_steps")
            self._prepare(validation, "validation", steps, "validation_steps")
            data = self._checked(validation, "validation")
            kwargs["validation_data"] = self._shared(data, kwargs, "validation_steps", "validation")
        kwargs.setdefault("shuffle", False)
        x = self._shared(self._checked(x, "training"), kwargs, "steps_per_epoch", "training")
        with self._experience().failures_named():
            return super().fit(x, *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Scores the learner as it stands.

        Args:
            x: data as for `fit`.
            *args: as in `keras.Model.evaluate`.
            **kwargs: as in `keras.Model.evaluate`.

        Returns:
            As `keras.Model.evaluate`: the loss and the metrics, averaged over batches.
        """
        if not kwargs.get("_use_cached_eval_dataset"):
            check_no_weights(kwargs)
            self._prepare(x, "evaluation", kwargs.get("steps"), "steps")
            x = self._shared(self._checked(x, "evaluation"), kwargs, "steps", "evaluation")
        with self._experience().failures_named():
            return super().evaluate(x, *args, **kwargs)

    def _prepare(self, data: Any, where: str, steps: int | None, argument: str) -> None:
        if self.experience is None:
            raise ValueError(f"compile the meta-learner before {where}: it has no loss yet.")
        self._check_model()
        check_ends(data, steps, where, argument)
        self.experience.prepare(self._learner, data, where)

    def _checked(self, data: Any, where: str) -> Any:
        return self._experience().checked(self._learner, data, where)

    def _meta_step(self, data: Any) -> dict[str, tf.Tensor]:
        r"""Moves $\theta$, and $\phi$ at every $\eta$-th step, in cross-replica context."""
        strategy = self.distribute_strategy
        theta, support, learned = strategy.run(self._learn, args=(data,))
        self._move_if_finite({"theta": learned.theta}, self._outer.apply)
        if self.objective is not None:
            strategy.run(self._gather, args=(data, theta, support, learned))
        logs = strategy.run(self._count, args=(learned,))
        if self.objective is not None:
            done = tf.convert_to_tensor(self.meta_step.value)
            due = tf.equal(done % self.warp_update_interval, 0)
            due = tf.logical_and(due, self._gathered.count(self.warp_update_interval) > 0)

            def update() -> tf.Tensor:
                strategy.run(self._update_warp)
                return tf.constant(True)

            tf.cond(due, update, lambda: tf.constant(False))
        return self._report(logs)

    def _learn(self, data: Any) -> tuple[Tensors, Any, Learned]:
        r"""Returns $\theta$, the record that it learns from, and what it learns."""
        phi, theta = self._learner.warp_values(), self._learner.initial_theta()
        support, learned = self._learn_from(data, theta, phi, "support")
        return theta, support, learned

    def _gather(self, data: Any, theta: Tensors, support: Any, learned: Learned) -> None:
        r"""Adds the gradient of $\phi$ at this step to what is gathered."""
        mean = all_reduce_mean(self._warp_gradient(data, theta, support, learned))
        first = tf.equal(tf.convert_to_tensor(self.meta_step.value) % self.warp_update_interval, 0)
        self._gathered.add({"phi": mean}, first)

    def _count(self, learned: Learned) -> dict[str, tf.Tensor]:
        """Counts the step and reports."""
        values = {"loss": learned.loss, **learned.metrics}
        with tf.control_dependencies(list(values.values())):
            self.meta_step.assign_add(1)
        return self._track(values)

    def _learn_from(
        self, data: Any, theta: Tensors, phi: Tensors, part: StreamPart
    ) -> tuple[Any, Learned]:
        experience, seed = self._experience(), self._seed(TRAINING)
        record = experience.record(self._learner, theta, phi, data, seed, part)
        with self._losses_scaled():
            return record, experience.learn(self._learner, theta, phi, record, seed)

    def _warp_gradient(self, data: Any, theta: Tensors, support: Any, learned: Learned) -> Tensors:
        r"""Returns the gradient of the objective for $\phi$ at this step, $\theta$ having moved."""
        assert self.objective is not None
        step = StreamStep(
            experience=self._experience(),
            learner=self._learner,
            data=data,
            seed=self._seed(TRAINING),
            support=support,
            learned=learned,
            before=theta,
            stepped=self._learner.initial_theta(),
            phi=self._learner.warp_values(),
            rate=tf.convert_to_tensor(self.task_optimizer.learning_rate),
        )
        with self._losses_scaled():
            return self.objective.stream_gradient(step)

    def _update_warp(self) -> None:
        r"""Moves $\phi$ along the mean of what was gathered."""
        self._outer.apply(self._gathered.mean(self.warp_update_interval))

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Scores one batch."""
        theta, phi = self._learner.initial_theta(), self._learner.warp_values()
        seed = self._seed(EVALUATION)
        return self._track(self._experience().score(self._learner, theta, phi, data, seed))

    def export(self, filepath: Any, **kwargs: Any) -> None:
        """Writes a SavedModel that predicts, or acts, without this package.

        Of a `RecurrentAgent` its functions and signatures are `start(episodes)`, the states in
        which episodes start, and `act(observation, state_0, ...)`, which returns `logits`, `value`,
        the likeliest `action` and the states to go on with; of any other model `predict(x)`.

        Args:
            filepath: folder to write; it must not exist, or be empty.
            **kwargs: options of `tf.saved_model.save`.

        Raises:
            FileExistsError: the folder is there and holds something.
        """
        write = export_agent if isinstance(self.model, RecurrentAgent) else export_predictor
        write(self._learner, filepath, **kwargs)

    def _experience(self) -> Experience:
        assert self.experience is not None
        return self.experience

    def _seed(self, purpose: int) -> tf.Tensor:
        """Returns the seed of a batch, the same on all replicas."""
        step = self.meta_step.value if purpose == TRAINING else 0
        return task_seed(self.seed, purpose, step, 0)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, serialised."""
        return {
            "name": self.name,
            **serialized(self, ("model", "objective")),
            "warp_update_interval": self.warp_update_interval,
            "seed": self.seed,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "ContinualMetaLearner":
        """Makes the meta-learner from what `get_config` returned."""
        return cls(**deserialized(config, ("model", "objective"), custom_objects))
