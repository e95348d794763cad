"""Meta-steps around the replicas: several updates in one, or none in some."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from warptf.distribution import all_reduce_mean
from warptf.meta_learners.loss_scales import LossScales, all_finite
from warptf.meta_learners.worker_shares import is_multi_worker
from warptf.reported import reported_dtype


class CrossReplicaSteps(keras.Model):
    """A part of Keras models that take many optimizer steps in one meta-step, or none in some.

    Neither an optimizer nor a reduction may run in a loop or a condition within a replica, so here
    these are around the replicas: `_meta_step` is called in cross-replica context, and runs each
    part of its work on all replicas by `strategy.run`. Subclasses implement it.

    With several workers it also serves where one update makes a meta-step, and in evaluation:
    Keras takes the mean of what the replicas report over its first axis, and means have none.
    """

    train_function: Any
    test_function: Any
    _loss_scales: LossScales | None

    def _meta_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Runs one meta-step on a meta-batch and returns what is to be reported."""
        raise NotImplementedError(f"{type(self).__name__} must implement _meta_step().")

    @property
    def _steps_around_replicas(self) -> bool:
        """Whether `_meta_step` is what `fit` runs, or Keras' way with `train_step`."""
        return True

    def make_train_function(self, force: bool = False) -> Any:
        """Builds the compiled function that `fit` calls."""
        if not self._steps_around_replicas:
            return super().make_train_function(force)
        if self.train_function is None or force:
            self.train_function = self._steps_on_iterator(self._meta_step)
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        """Builds the compiled function that `evaluate` calls."""
        if not is_multi_worker(self.distribute_strategy):
            return super().make_test_function(force)
        if self.test_function is None or force:
            self.test_function = self._steps_on_iterator(self._test_on_replicas)
        return self.test_function

    def _test_on_replicas(self, data: Any) -> dict[str, tf.Tensor]:
        return self._report(self.distribute_strategy.run(self.test_step, args=(data,)))

    def _steps_on_iterator(self, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Returns a function of an iterator that takes `steps_per_execution` steps."""
        if self.jit_compile and not self.run_eagerly:
            # XLA compiles no iterators; the step alone is what it shall compile.
            step = tf.function(step, jit_compile=True, autograph=False)

        def one_step(iterator: Any) -> Any:
            return step(next(iterator))

        if not self.run_eagerly:
            one_step = tf.function(one_step, autograph=False)

        def steps(iterator: Any) -> Any:
            logs = one_step(iterator)
            for _ in range(self.steps_per_execution - 1):
                # The data may end within an execution, after steps that were taken.
                try:
                    logs = one_step(iterator)
                except (StopIteration, tf.errors.OutOfRangeError):
                    break
            return logs

        return steps

    def _move_if_finite(self, gradients: Any, move: Callable[[Any], None]) -> None:
        """Moves along gradients, unless loss scaling made them overflow; in cross-replica context.

        Args:
            gradients: a structure of the replicas' own mean gradients.
            move: moves along them, in replica context.
        """
        strategy, scales = self.distribute_strategy, self._loss_scales

        def run() -> tf.Tensor:
            strategy.run(move, args=(gradients,))
            return tf.constant(True)

        if scales is None:
            run()
            return
        finite = strategy.run(_all_finite_everywhere, args=(gradients,))
        tf.cond(strategy.experimental_local_results(finite)[0], run, lambda: tf.constant(False))
        strategy.run(scales.follow, args=(finite,))

    def _move_repeatedly(
        self,
        count: int,
        gradients: Callable[[tf.Tensor], tuple[Any, Any]],
        move: Callable[[Any], None],
    ) -> list[tf.Tensor]:
        """Moves several times in one meta-step, in cross-replica context.

        Args:
            count: number of moves.
            gradients: returns what the replicas' own mean gradients and losses are, for a move's
                number.
            move: moves along them, in replica context.

        Returns:
            The mean loss of each replica of this process: replicas speak to one another about
            gradients only, at every move, and about losses once an epoch.
        """
        local = self.distribute_strategy.experimental_local_results

        def one(number: tf.Tensor, sums: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
            values, losses = gradients(number)
            self._move_if_finite(values, move)
            return number + 1, [s + own for s, own in zip(sums, local(losses), strict=True)]

        replicas = len(local(self.distribute_strategy.run(replica_id)))
        _, sums = tf.while_loop(
            lambda number, _: number < count,
            one,
            (tf.constant(0), [tf.zeros([], reported_dtype())] * replicas),
            maximum_iterations=count,
        )
        return [s / count for s in sums]

    def _report(self, logs: Any) -> dict[str, tf.Tensor]:
        """Returns the logs of this process' first replica.

        For those of an epoch Keras reads the metrics of all replicas, if the logs name them all.
        """
        return {
            name: self.distribute_strategy.experimental_local_results(value)[0]
            for name, value in logs.items()
        }


def replica_id() -> tf.Tensor:
    """Returns the number of this replica among those of all processes, in replica context."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group


def own(values: Sequence[Any]) -> Any:
    """Returns this replica's part of one for each replica of the process, in replica context.

    Args:
        values: one for each replica.
    """
    # Processes have the same number of replicas, which are numbered in turns.
    return values[tf.get_static_value(replica_id()) % len(values)]


def _all_finite_everywhere(values: Any) -> tf.Tensor:
    """Returns whether the tensors of all replicas are finite, in replica context."""
    overflows = 1.0 - tf.cast(all_finite(tf.nest.flatten(values)), tf.float32)
    return tf.equal(all_reduce_mean([overflows])[0], 0.0)
