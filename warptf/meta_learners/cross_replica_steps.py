"""Meta-steps that update variables in a loop or on a condition."""

from typing import Any

import tensorflow as tf


class CrossReplicaSteps:
    """A part of Keras models that take many optimizer steps in one meta-step, or none in some.

    Neither an optimizer nor a reduction may run in a loop or a condition within a replica, so here
    these are around the replicas: `_meta_step` is called in cross-replica context, and runs each
    part of its work on all replicas by `strategy.run`. Subclasses implement it.
    """

    train_function: Any
    jit_compile: Any
    run_eagerly: bool
    steps_per_execution: int
    distribute_strategy: Any

    def _meta_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Runs one meta-step on a meta-batch and returns what is to be reported."""
        raise NotImplementedError(f"{type(self).__name__} must implement _meta_step().")

    def make_train_function(self, force: bool = False) -> Any:
        """Builds the compiled function that `fit` calls."""
        if self.train_function is not None and not force:
            return self.train_function
        step = self._meta_step
        if self.jit_compile and not self.run_eagerly:
            # XLA compiles no iterators; the meta-step alone is what it shall compile.
            step = tf.function(step, jit_compile=True, autograph=False)

        def one_step(iterator: Any) -> Any:
            return step(next(iterator))

        if not self.run_eagerly:
            one_step = tf.function(one_step, autograph=False)

        def meta_steps(iterator: Any) -> Any:
            logs = one_step(iterator)
            for _ in range(self.steps_per_execution - 1):
                # The data may end within an execution, after steps that were taken.
                try:
                    logs = one_step(iterator)
                except (StopIteration, tf.errors.OutOfRangeError):
                    break
            return logs

        self.train_function = meta_steps
        return self.train_function

    def _report(self, logs: Any) -> dict[str, tf.Tensor]:
        """Returns the logs of the first replica; all hold the same means."""
        return {
            name: self.distribute_strategy.experimental_local_results(value)[0]
            for name, value in logs.items()
        }
