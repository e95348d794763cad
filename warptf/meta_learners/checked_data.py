"""Data sets whose every element is checked before it is used."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from warptf.value_checks import assert_none


def checked(data: tf.data.Dataset, problem_in: Callable[[Any], tf.Tensor]) -> tf.data.Dataset:
    """Returns a data set that fails at the first element with a problem.

    The check is a part of the pipeline, outside of what XLA compiles and of replicas.

    Args:
        data: the data set.
        problem_in: returns what is wrong with an element, in words, or an empty string.

    Returns:
        The same elements; where one has a problem, an `InvalidArgumentError` with its number.
    """

    @tf.autograph.experimental.do_not_convert
    def check(number: tf.Tensor, element: Any) -> Any:
        problem = problem_in(element)
        which = tf.strings.join(["meta-batch ", tf.strings.as_string(number + 1), ": ", problem])
        assert_none(tf.where(tf.equal(problem, ""), problem, which))
        return element

    return data.enumerate().map(check)
