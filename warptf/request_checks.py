"""Checks of the requests that a served learner is sent, a part of the artefact."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from warptf.value_checks import Labels, assert_none, first_of, first_problem, problem_with


def accepted(
    support: tuple[Any, Any], steps: tf.Tensor, specs: tuple[Any, Any], labels: Labels
) -> tuple[Any, Any, tf.Tensor]:
    """Returns what a request holds, in a graph that fails where a learner cannot learn from it.

    Args:
        support: the support set `(x, y)`.
        steps: number of inner steps.
        specs: specs of `x` and `y`, with the names that signatures give them.
        labels: what of `y` is class indices, as in `problem_with`.

    Returns:
        `x`, `y` and `steps`. They come with an `InvalidArgumentError` where examples are missing,
        numbers not finite, labels no class or steps negative.
    """
    names = [spec.name for spec in keras.tree.flatten(specs)]
    named = list(zip(names, keras.tree.flatten(support), strict=True))
    few = ("steps must be at least 0, got ", tf.strings.as_string(steps), ".")
    problem = first_of(
        [
            _unequal([value for _, value in named], " and ".join(names)),
            problem_with(named, labels, "support set"),
            first_problem([(steps >= 0, tf.strings.join(few))]),
        ]
    )
    with tf.control_dependencies([assert_none(problem)]):
        x, y = tf.nest.map_structure(tf.identity, support)
        return x, y, tf.identity(steps)


def _unequal(values: Sequence[tf.Tensor], names: str) -> tf.Tensor:
    """Returns a problem where tensors do not hold the same number of examples."""
    counts = tf.stack([tf.shape(value)[0] for value in values])
    shown = tf.strings.reduce_join(tf.strings.as_string(counts), separator=", ")
    words = (f"{names} must hold the same number of examples, got ", shown, ".")
    same = tf.equal(tf.reduce_min(counts), tf.reduce_max(counts))
    return first_problem([(same, tf.strings.join(words))])
