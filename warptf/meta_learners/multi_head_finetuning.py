"""Multi-headed joint training, the fine-tuning baseline."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from warptf.adaptation import Tensors, batch_at, plain
from warptf.inner_optimizers.inner_optimizer import InnerOptimizer
from warptf.meta_learners.argument_checks import positive_integer
from warptf.meta_learners.cross_replica_steps import own
from warptf.meta_learners.meta_learner import MetaLearner
from warptf.meta_learners.task_axes import as_task, batches_of, task_count
from warptf.meta_learners.task_mapping import map_tasks
from warptf.partition import output_spec, variables_of_layer
from warptf.reported import reported_dtype
from warptf.tasks.task import Task
from warptf.value_checks import first_of, first_problem


class MultiHeadFinetuning(MetaLearner):
    r"""Trains one body on all training tasks at once, with a head for each; then fine-tunes.

    A meta-step takes $K$ joint gradient steps: the body moves along the mean gradient of the
    meta-batch's tasks, each head along that of its own task. So it sees as many mini-batches as the
    meta-learners do. A new task starts from the body and from the head that `model` came with.

    Args:
        model: a built Keras model without warp layers.
        inner_optimizer: the update rule of fine-tuning.
        inner_steps: $K$, joint steps in a meta-step and, by default, steps of fine-tuning.
        num_tasks: number of training tasks; `Task.task_id` lies in `0..num_tasks - 1`.
        head: name or path of the layer that each task has to itself; the last one with task
            variables if `None`.
        evaluation_steps: steps of fine-tuning; `inner_steps` if `None`.
        seed: an integer from which all random numbers derive. Defaults to 0.
        **kwargs: `batch_norm` of `MetaLearner`; `name` and other arguments of `keras.Model`.

    In `compile`, `optimizer` moves the heads, and the body where it is given no
    `initialization_optimizer` of its own.

    Raises:
        ValueError: a number out of range, an unknown head, a model with warp variables, or tasks
            without `task_id`.

    Example:
        >>> import keras, numpy as np, tensorflow as tf, warptf
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4),
        ...     keras.layers.Dense(1)])
        >>> learner = warptf.MultiHeadFinetuning(
        ...     model, warptf.inner_optimizers.SGD(0.1), inner_steps=3, num_tasks=7)
        >>> learner.compile(optimizer="sgd", loss="mse")
        >>> x, y = np.ones((4, 5, 2), "float32"), np.ones((4, 5, 1), "float32")
        >>> task = warptf.tasks.Task((x, y), (x, y), task_id=np.array([0, 3, 5, 6]))
        >>> history = learner.fit(tf.data.Dataset.from_tensors(task), verbose=0)

    Reference:
        arXiv 1909.00025, table 2 (fine-tuning, multi-headed).
    """

    _times: Sequence[Sequence[str]] = (("heads", "theta_0"),)

    def __init__(
        self,
        model: keras.Model,
        inner_optimizer: InnerOptimizer,
        inner_steps: int,
        num_tasks: int,
        head: str | None = None,
        evaluation_steps: int | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            model,
            inner_optimizer,
            inner_steps,
            evaluation_steps=evaluation_steps,
            seed=seed,
            **kwargs,
        )
        if self.partition.warp_variables:
            raise ValueError(
                f"model {model.name!r} has warp variables, which joint training leaves where they "
                "are: build the model without warp layers."
            )
        outputs = [spec.name for spec in tf.nest.flatten(output_spec(model))]
        if head is None and len(outputs) > 1:
            raise ValueError(
                f"model {model.name!r} has {len(outputs)} outputs, so that its head is not known: "
                "pass head=, the name of the layer that each task has to itself, such as one of "
                f"those that make the outputs {outputs}."
            )
        self.num_tasks = positive_integer("num_tasks", num_tasks)
        self.head = head
        in_head = {id(v) for v in variables_of_layer(model, head)}
        self._is_head = [id(v) in in_head for v in self.partition.task_variables]
        self._heads = [
            self._head_bank(v)
            for v, own in zip(self.partition.task_variables, self._is_head, strict=True)
            if own
        ]

    def _head_bank(self, variable: keras.Variable) -> keras.Variable:
        """Returns a variable that holds each task's copy of a head variable."""
        return self.add_weight(
            name=f"{variable.name}_heads",
            shape=(self.num_tasks, *variable.shape),
            dtype=variable.dtype,
            initializer=lambda shape, dtype: tf.broadcast_to(tf.cast(variable.value, dtype), shape),
        )

    def _groups(self) -> dict[str, Any]:
        """Returns the heads, and in place of the initialisation the body."""
        own = zip(self.partition.task_variables, self._is_head, strict=True)
        body = [variable for variable, is_head in own if not is_head]
        return {"heads": self._heads, "theta_0": body, "hyper": []}

    def _moving(self) -> list[str]:
        """Returns the names of the groups that move."""
        return ["heads", "theta_0"]

    def _check_learns(self) -> None:
        """Joint training always moves something."""

    def _check_training_task(self, task: Task) -> None:
        """Refuses tasks without `task_id`, or with one that has no head."""
        if task.task_id is None:
            raise ValueError(
                "tasks have no task_id, so their heads are unknown: yield Task(..., task_id=...)."
            )

    def _problem_in(self, task: Task, where: str) -> tf.Tensor:
        """Returns what is wrong with the numbers of a meta-batch, ids included."""
        problem = super()._problem_in(task, where)
        if task.task_id is None or where != "training":
            return problem
        least, greatest = tf.reduce_min(task.task_id), tf.reduce_max(task.task_id)
        known = tf.logical_and(least >= 0, greatest < self.num_tasks)
        words = (
            f"task_id must lie in 0..{self.num_tasks - 1}, since num_tasks={self.num_tasks}; got "
            "ids from ",
            tf.strings.as_string(least),
            " to ",
            tf.strings.as_string(greatest),
            ".",
        )
        return first_of([problem, first_problem([(known, tf.strings.join(words))])])

    def _meta_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Runs $K$ joint steps, in cross-replica context."""
        strategy = self.distribute_strategy
        counts = strategy.reduce("SUM", strategy.run(self._count_heads, args=(data,)), axis=None)

        losses = self._move_repeatedly(
            self.inner_steps,
            lambda k: strategy.run(self._joint_step, args=(data, k, counts)),
            self._outer.apply,
        )
        # Of an epoch, Keras reports what the first replica does where training has fewer figures
        # than the evaluation: here the loss alone. Loops leave values on no replica's device.
        of_replicas = strategy.run(lambda: tf.identity(own(losses)))
        mean = strategy.reduce("MEAN", of_replicas, axis=None)
        return self._report(strategy.run(self._finish, args=(mean,)))

    def _count_heads(self, data: Any) -> tf.Tensor:
        """Returns how many tasks of a replica's part of the meta-batch have each head."""
        return tf.math.bincount(
            tf.cast(as_task(data).task_id, tf.int32),
            minlength=self.num_tasks,
            maxlength=self.num_tasks,
            dtype=tf.float32,
        )

    def _joint_step(
        self, data: Any, k: tf.Tensor, counts: tf.Tensor
    ) -> tuple[dict[str, Tensors], tf.Tensor]:
        """Returns the gradients of the heads and the body, from one mini-batch of each task."""
        task = as_task(data)
        stacked, losses = self._joint_gradients(task, k)
        banks = iter(self._heads)
        # A head moves by the mean over its own tasks, wherever they are, not over all replicas'.
        replicas = self.distribute_strategy.num_replicas_in_sync
        # In as many digits as there may be: the gradients' type is taken where they are weighed.
        of_own = tf.maximum(tf.gather(counts, task.task_id), 1.0)
        weights = replicas / tf.cast(of_own, tf.float64)
        share = replicas / tf.cast(tf.reduce_sum(counts), tf.float64)
        of_heads, of_body = [], []
        for gradient, is_head in zip(stacked, self._is_head, strict=True):
            if is_head:
                weight = tf.reshape(weights, [-1] + [1] * (len(gradient.shape) - 1))
                weighted = gradient * tf.cast(weight, gradient.dtype)
                indices = task.task_id[:, tf.newaxis]
                of_heads.append(tf.scatter_nd(indices, weighted, list(next(banks).shape)))
            else:
                total = tf.reduce_sum(gradient, axis=0)
                of_body.append(total * tf.cast(share, total.dtype))
        return {"heads": of_heads, "theta_0": of_body}, tf.reduce_mean(losses)

    def _joint_gradients(self, task: Task, k: tf.Tensor) -> tuple[Tensors, tf.Tensor]:
        """Returns each task's gradients at the body and its own head, and its loss."""
        heads = [tf.gather(h.value, task.task_id) for h in self._heads]
        tasks = self._training_tasks(self._first_of_replica(task))
        problem, shared = tasks.problem, tasks.parameters

        def gradients(one: Task, index: tf.Tensor) -> tuple[Tensors, tf.Tensor]:
            of_task = iter(tf.gather(h, index) for h in heads)
            body = zip(self._is_head, shared.theta, strict=True)
            theta = [next(of_task) if is_head else value for is_head, value in body]
            seed = tf.random.experimental.stateless_fold_in(tasks.seeds.of(index), k)
            start = problem.start(shared._replace(theta=theta), seed)
            batch = batch_at(batches_of(one, tasks.model_input), k)
            step = plain(problem, *start, batch)
            loss = tf.cast(step.output.reported["loss"], reported_dtype())
            return step.theta_gradients, loss

        specs = [tf.TensorSpec(t.shape, t.dtype) for t in shared.theta]
        signature = (specs, tf.TensorSpec((), reported_dtype()))
        with self._losses_scaled():
            return map_tasks(gradients, task, signature, task_count(task), self._mapping)

    def _finish(self, loss: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._end_meta_step({"loss": loss})

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, serialised."""
        config = super().get_config()
        for name in ("objective", "initialization", "initialization_weight"):
            del config[name]
        return {**config, "num_tasks": self.num_tasks, "head": self.head}
