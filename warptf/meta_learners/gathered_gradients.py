"""Gradients gathered over several steps before they move anything."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from warptf.meta_learners.loss_scales import LossScales, all_finite

MakeVariable = Callable[[str, Any, str], keras.Variable]


class GatheredGradients:
    """Sums of gradients by group of variables, one value on all replicas.

    What was gathered before is left out by the first of the values, instead of being cleared when
    it has been used: an assignment after a read within one branch of a condition may come before
    it, once TensorFlow has optimised the branch.

    Args:
        make_variable: `make_variable(name, shape, dtype)` returns a variable that has one value on
            all replicas and is saved with the learner.
        groups: the groups of variables by name.
    """

    def __init__(
        self, make_variable: MakeVariable, groups: Mapping[str, Sequence[keras.Variable]]
    ) -> None:
        self._sums = {
            group: [
                make_variable(f"gathered_{group}_{index}", v.shape, v.dtype)
                for index, v in enumerate(variables)
            ]
            for group, variables in groups.items()
        }

    def add(self, means: Mapping[str, Sequence[tf.Tensor]], first: tf.Tensor) -> None:
        """Adds gradients, in replica context.

        Args:
            means: their means over replicas, by group.
            first: whether these are the first to be gathered.
        """
        for group, variables in self._sums.items():
            gather(variables, means[group], first)

    def mean(self, count: Any) -> dict[str, list[tf.Tensor]]:
        """Returns the mean of what is gathered, by group.

        Args:
            count: number of times that something was added.
        """
        return {
            group: [tf.convert_to_tensor(v.value) / count for v in variables]
            for group, variables in self._sums.items()
        }

    def all_finite(self) -> tf.Tensor:
        """Returns whether the sums hold neither NaN nor infinity."""
        sums = tf.nest.flatten(list(self._sums.values()))
        return all_finite([tf.convert_to_tensor(v.value) for v in sums])


class GatheredSteps(GatheredGradients):
    """Sums of the gradients of steps, of which those that overflow are left out.

    Args:
        make_variable: as in `GatheredGradients`.
        groups: the groups of variables by name.
        scales: the loss scale that follows overflows, or `None` where losses are not scaled.
    """

    def __init__(
        self,
        make_variable: MakeVariable,
        groups: Mapping[str, Sequence[keras.Variable]],
        scales: LossScales | None,
    ) -> None:
        super().__init__(make_variable, groups)
        self._scales = scales
        self._steps = None if scales is None else make_variable("gathered_steps", (), "float32")

    def add(self, means: Mapping[str, Sequence[tf.Tensor]], first: tf.Tensor) -> None:
        """Adds the gradients of a step, or nothing where they overflow."""
        if self._scales is not None:
            finite = all_finite(tf.nest.flatten(dict(means)))
            means = {
                group: [tf.where(finite, g, tf.zeros_like(g)) for g in gradients]
                for group, gradients in means.items()
            }
            self._scales.follow(finite, due=tf.logical_not(finite))
            gather([self._steps], [tf.cast(finite, tf.float32)], first)
        super().add(means, first)

    def mean(self, count: Any) -> dict[str, list[tf.Tensor]]:
        """Returns the mean over the steps that were gathered, by group.

        Args:
            count: how many steps there were.
        """
        return super().mean(self.count(count))

    def count(self, steps: int) -> Any:
        """Returns how many steps were gathered.

        Args:
            steps: how many there were.
        """
        return steps if self._steps is None else tf.convert_to_tensor(self._steps.value)


def gather(
    variables: Sequence[keras.Variable], means: Sequence[tf.Tensor], first: tf.Tensor
) -> None:
    """Adds means over replicas to variables, in replica context.

    Args:
        variables: one for each value, the same on all replicas.
        means: what to add, the same on all replicas.
        first: whether these are the first to be gathered.
    """
    for variable, mean in zip(variables, means, strict=True):
        before = tf.convert_to_tensor(variable.value)
        variable.assign(mean + tf.where(first, tf.zeros_like(before), before))
