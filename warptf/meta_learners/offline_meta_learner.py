"""Algorithm 2: warp parameters learned from replayed trajectories."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from warptf.adaptation import InnerState, TaskBatches, Tensors, batch_at
from warptf.initializations.initialization import Initialization
from warptf.inner_optimizers.inner_optimizer import InnerOptimizer
from warptf.meta_learners.argument_checks import positive_integer
from warptf.meta_learners.cross_replica_steps import own, replica_id
from warptf.meta_learners.default_objective import AUTO
from warptf.meta_learners.meta_learner import MetaLearner
from warptf.meta_learners.offline_task import OfflineTask
from warptf.meta_learners.replay_buffer import STORAGES, ReplayBuffer, make_replay_buffer
from warptf.meta_learners.seeds import REPLAY_ORDER, task_seed
from warptf.meta_learners.task_axes import as_task, leading_axes, task_count
from warptf.meta_learners.task_mapping import map_elements, map_tasks
from warptf.meta_learners.training_tasks import TrainingTasks
from warptf.needs import Need
from warptf.objectives.objective import Objective
from warptf.reported import reported_dtype
from warptf.tasks.task import Task

# Folded into a task's seed for the steps that are replayed, beside those that were taken.
_REPLAY = 1


class OfflineMetaLearner(MetaLearner):
    r"""Algorithm 2: collects trajectories with $\phi$ frozen, then replays them in random order.

    Collect: for each task of the meta-batch $K$ inner steps from $\theta_0$, all $\theta_k$ stored
    with the inner optimizer's state. Replay: every stored $(\tau, k)$ once, without replacement;
    after each `replay_batch_size` ($\eta$) of them $\phi$ takes a step along their mean gradient.
    $\theta_0$ takes one step per meta-batch, from the trajectories. An optimizer given for both
    counts $\phi$'s updates and $\theta_0$'s separately, its `iterations` being those of $\phi$.

    Args:
        model: a built Keras model with task and warp layers.
        inner_optimizer: the update rule of the inner loop.
        inner_steps: $K$, the number of inner steps in training.
        objective: what $\phi$ minimises; `WarpGrad()` by default (`"auto"`).
        initialization: what $\theta_0$ minimises; `Fixed()` if `None`.
        initialization_weight: $\lambda$ of Eq. 9. Defaults to 1.
        evaluation_steps: inner steps in `evaluate` and `adapt`; `inner_steps` if `None`.
        seed: an integer from which all random numbers derive. Defaults to 0.
        replay_batch_size: $\eta$; must divide $T \cdot K$. On several replicas each replays this
            many of its own at a time. Defaults to 1.
        replay_epochs: how often the buffer is gone through, each time in a new order and with the
            same mini-batches. Defaults to 1.
        replay_storage: where trajectories are kept: `"device"`, `"host"`, `"disk"` (temporary
            files), or `"auto"`: on disk if they would fill half of the host's memory, on the host
            if they take more than 1 GiB and there is a GPU, otherwise on the device. Defaults to
            `"auto"`.
        **kwargs: `batch_norm` of `MetaLearner`; `name` and other arguments of `keras.Model`.

    Training tasks: `support` feeds the inner steps; `replay = (inner, meta)` holds a fresh
    mini-batch for the inner step and one for the meta loss of each replayed step (without it,
    `support` and `query` serve); `query` is what the initialisation's meta loss sees.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a number out of range, a model without task or warp variables, no objective, or
            a head that starts from the support set.

    Example:
        >>> import keras, numpy as np, tensorflow as tf, warptf
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4),
        ...     warptf.layers.WarpDense(4), keras.layers.Dense(1)])
        >>> learner = warptf.OfflineMetaLearner(
        ...     model, warptf.inner_optimizers.SGD(0.1), inner_steps=3)
        >>> learner.compile(optimizer="adam", loss="mse")
        >>> x, y = np.ones((4, 5, 2), "float32"), np.ones((4, 5, 1), "float32")
        >>> tasks = tf.data.Dataset.from_tensors(warptf.tasks.Task((x, y), (x, y)))
        >>> history = learner.fit(tasks, verbose=0)
        >>> int(learner.optimizer.iterations)   # an update for each of 4 tasks' 3 steps
        12

    Reference:
        arXiv 1909.00025, algorithm 2.
    """

    _times: Sequence[Sequence[str]] = (("phi", "hyper"), ("theta_0",))
    _offers: Sequence[Need] = (Need.STORED_STEPS,)

    def __init__(
        self,
        model: keras.Model,
        inner_optimizer: InnerOptimizer,
        inner_steps: int,
        objective: Objective | Literal["auto"] = AUTO,
        initialization: Initialization | None = None,
        initialization_weight: float = 1.0,
        evaluation_steps: int | None = None,
        seed: int = 0,
        replay_batch_size: int = 1,
        replay_epochs: int = 1,
        replay_storage: str = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            model,
            inner_optimizer,
            inner_steps,
            objective=objective,
            initialization=initialization,
            initialization_weight=initialization_weight,
            evaluation_steps=evaluation_steps,
            seed=seed,
            **kwargs,
        )
        if self.objective is None:
            got = f"model {model.name!r} has no warp variables" if objective else "objective=None"
            raise ValueError(
                f"the offline algorithm replays steps for an objective, got {got}: use "
                "OnlineMetaLearner to learn an initialisation alone, or insert warp layers."
            )
        if self._learner.starts_from_support:
            raise ValueError(
                f"model {model.name!r} has a head that starts from the support set, whose means "
                "move with the warp layers, and the offline algorithm holds stored steps constant: "
                "use OnlineMetaLearner."
            )
        if replay_storage not in STORAGES:
            raise ValueError(f"replay_storage must be one of {STORAGES}, got {replay_storage!r}.")
        self.replay_batch_size = positive_integer("replay_batch_size", replay_batch_size)
        self.replay_epochs = positive_integer("replay_epochs", replay_epochs)
        self.replay_storage = replay_storage

    @property
    def _replayed(self) -> Objective:
        assert self.objective is not None
        return self.objective

    @property
    def _replays_steps(self) -> bool:
        """Whether replayed steps are taken anew; learned rates need the step in any case."""
        return self._replayed.replays_inner_step or bool(self.inner_optimizer.trainable_variables)

    def _meta_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Runs one meta-step, in cross-replica context."""
        strategy = self.distribute_strategy
        local = strategy.experimental_local_results(data)
        count = task_count(as_task(local[0]))
        self._check_replay(count)
        total = count * self.inner_steps
        self._buffers = [self._make_buffer(count) for _ in local]
        collected = strategy.run(self._collect, args=(data,))
        updates = total // self.replay_batch_size
        losses = self._move_repeatedly(
            updates * self.replay_epochs,
            lambda update: strategy.run(self._replay, args=(data, collected, update)),
            self._move,
        )
        self._move_if_finite({"theta_0": collected["theta_0"]}, self._move)
        logs = strategy.run(self._finish, args=(collected, losses))
        return self._report(logs)

    def _check_training_task(self, task: Task) -> None:
        """Refuses a storage that the compiled meta-step could not use."""
        if self._uses_xla and self.replay_storage == "disk":
            raise ValueError(
                'replay_storage="disk" does not go with jit_compile, since XLA reads no '
                'files: use replay_storage="device", or jit_compile=False.'
            )

    @property
    def _uses_xla(self) -> bool:
        return self._mapping.uses_xla

    def _check_replay(self, count: Any) -> None:
        if not isinstance(count, int):
            raise ValueError(
                "the number T of tasks in a meta-batch must be the same for all and divide by the "
                "number of replicas, got batches of unknown size: use "
                "batch(T, drop_remainder=True)."
            )
        if count * self.inner_steps % self.replay_batch_size:
            raise ValueError(
                f"replay_batch_size={self.replay_batch_size} must divide the "
                f"{count * self.inner_steps} steps that a meta-batch stores on each replica (tasks "
                "x inner_steps)."
            )

    def _make_buffer(self, count: int) -> ReplayBuffer:
        specs = [tf.TensorSpec(t.shape, t.dtype) for t in tf.nest.flatten(self._any_state())]
        # XLA reads no files.
        device = self._uses_xla and self.replay_storage == "auto"
        storage = "device" if device else self.replay_storage
        replicas = self.distribute_strategy.num_replicas_in_sync
        return make_replay_buffer(storage, specs, count, self.inner_steps, replicas)

    def _buffer(self) -> ReplayBuffer:
        return own(self._buffers)

    def _any_state(self) -> InnerState:
        """Returns a state of the structure in which steps are stored."""
        return self._problem.start(self._problem.parameters(), tf.constant([0, 0])).state

    def _collect(self, data: Any) -> dict[str, Any]:
        r"""Adapts to each task with $\phi$ frozen and stores the steps."""
        task, buffer = as_task(data), self._buffer()
        tasks = self._training_tasks(self._first_of_replica(task))
        collect = OfflineTask(
            tasks, self.initialization, self._task_metrics, buffer, self._replays_steps
        )
        signature = {
            "entries": buffer.entry_spec,
            "theta_0": [tf.TensorSpec(v.shape, v.dtype) for v in self.partition.task_variables],
            **{name: tf.TensorSpec((), reported_dtype()) for name in self._task_metrics.names},
        }
        with self._losses_scaled():
            collected = map_tasks(collect, task, signature, task_count(task), self._mapping)
        gradient = [tf.reduce_mean(g, axis=0) for g in collected.pop("theta_0")]
        total = task_count(task) * self.inner_steps
        orders = [self._order(total, epoch) for epoch in range(self.replay_epochs)]
        return {**collected, "theta_0": gradient, "replay_order": tf.concat(orders, 0)}

    def _replay(
        self, data: Any, collected: dict[str, Any], update: tf.Tensor
    ) -> tuple[dict[str, Tensors], tf.Tensor]:
        r"""Returns the mean gradients of $\eta$ stored steps, and their mean loss."""
        task = as_task(data)
        total = task_count(task) * self.inner_steps
        epoch = update // (total // self.replay_batch_size)
        tasks = self._training_tasks(self._first_of_replica(task))
        size = self.replay_batch_size

        def term(entry: tf.Tensor) -> Any:
            with self._losses_scaled():
                return self._term(tasks, task, collected, entry, epoch)

        entries = collected["replay_order"]
        if size > 1 and self._mapping.together:
            chosen = tf.ensure_shape(entries[update * size : (update + 1) * size], [size])
            shared = [list(tasks.parameters.phi), list(tasks.parameters.hyper)]
            specs = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), shared)
            signature = (*specs, tf.TensorSpec((), reported_dtype()))
            terms = map_elements(term, chosen, signature, size, self._mapping)
            means = tf.nest.map_structure(lambda t: tf.reduce_mean(t, axis=0), terms)
        else:
            terms = [term(entries[update * size + offset]) for offset in range(size)]
            means = tf.nest.map_structure(lambda *parts: sum(parts[1:], parts[0]) / size, *terms)
        phi_mean, hyper_mean, loss = means
        return {"phi": phi_mean, "hyper": hyper_mean}, loss

    def _order(self, total: int, epoch: int) -> tf.Tensor:
        """Returns the random order of an epoch's replays."""
        seed = task_seed(self.seed, REPLAY_ORDER, self.meta_step.value, replica_id())
        seed = tf.random.experimental.stateless_fold_in(seed, epoch)
        # XLA sorts, but does not shuffle.
        return tf.argsort(tf.random.stateless_uniform([total], seed), stable=True)

    def _term(
        self,
        tasks: TrainingTasks,
        task: Task,
        collected: dict[str, Any],
        entry: tf.Tensor,
        epoch: tf.Tensor,
    ) -> tuple[Tensors, Tensors, tf.Tensor]:
        """Returns the gradients and the meta loss of one stored step."""
        index, k = entry // self.inner_steps, entry % self.inner_steps
        leaves = self._buffer().read(collected["entries"], index, k)
        stored = tf.nest.pack_sequence_as(self._any_state(), leaves)
        seed = tasks.seeds.of(index)
        for part in (_REPLAY, epoch, k):
            seed = tf.random.experimental.stateless_fold_in(seed, part)
        stored = stored._replace(state=self._learner.reseed(stored.state, seed))
        inner_part, meta_part = task.replay or (task.support, task.query)
        meta_batch = self._stored_batch(meta_part, index, k)
        shared = tasks.parameters
        if self._replays_steps:
            inner_batch = self._stored_batch(inner_part, index, k)
            batch = batch_at(TaskBatches(inner_batch, meta_batch), k)
            look = self._replayed.lookahead(self._problem, stored, shared, batch)
        else:
            look = self._replayed.stored(self._problem, stored, shared, meta_batch)
        loss = tf.cast(look.meta_loss, reported_dtype())
        return list(look.phi_gradient), list(look.hyper_gradient), loss

    def _stored_batch(self, part: Any, index: tf.Tensor, k: tf.Tensor) -> Any:
        """Returns the batch of one task and step, without copying the task's other steps."""
        if leading_axes(part[0], self._model_input) == 3:
            return tf.nest.map_structure(lambda t: tf.gather_nd(t, tf.stack([index, k])), part)
        return tf.nest.map_structure(lambda t: tf.gather(t, index), part)

    def _finish(self, collected: dict[str, Any], losses: Tensors) -> dict[str, tf.Tensor]:
        """Counts the meta-step and reports."""
        scores = {name: collected[name] for name in self._task_metrics.names}
        return self._end_meta_step({"loss": own(losses), **scores})

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, serialised."""
        return {
            **super().get_config(),
            "replay_batch_size": self.replay_batch_size,
            "replay_epochs": self.replay_epochs,
            "replay_storage": self.replay_storage,
        }
