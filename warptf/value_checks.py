"""What is wrong with the numbers in data, found in the graph and said in words."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

# How TensorFlow reports a failed assertion; what is said here ends with a full stop.
_FAILED = re.compile(r"assertion failed: \[(.*?\.)\]", re.DOTALL)

Values = Sequence[tuple[str, Any]]
Labels = Sequence[tuple[str, Any, int]]


def problem_with(values: Values, labels: Labels, name: str) -> tf.Tensor:
    """Returns the first thing that is wrong with data.

    Args:
        values: tensors by name: inputs, targets and weights. They must hold examples, and numbers
            that are finite.
        labels: name of an output, or an empty string, targets that are class indices, and number
            of classes. They must be whole and in range.
        name: what the data is.

    Returns:
        A line that names the part and the remedy, a scalar string; empty if nothing is wrong.

    Example:
        >>> import numpy as np
        >>> x, y = np.ones((2, 3)), np.array([0, 5])
        >>> print(problem_with([("x", x), ("y", y)], [("", y, 5)], "support set").numpy().decode())
        labels of the support set must lie in 0..4, since the model has 5 outputs; got labels from \
0 to 5.
    """
    checks = [check for key, value in values for check in _of_values(key, value, name)]
    checks += [check for label in labels for check in _of_labels(*label, name)]
    return first_problem(checks)


def first_problem(checks: Sequence[tuple[Any, Any]]) -> tf.Tensor:
    """Returns the words of the first check that does not hold, or an empty string.

    Args:
        checks: whether a check holds, a scalar, and the words if it does not.
    """
    found = tf.constant("")
    for holds, words in reversed(checks):
        found = tf.where(holds, found, words)
    return found


def first_of(problems: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the first of problems that is one, or an empty string.

    Args:
        problems: lines, empty where nothing is wrong.
    """
    return first_problem([(tf.equal(problem, ""), problem) for problem in problems])


def assert_none(problem: tf.Tensor) -> Any:
    """Fails where there is a problem.

    Args:
        problem: what `problem_with` returned.

    Returns:
        The operation that fails, in a graph, with an `InvalidArgumentError`.
    """
    return tf.debugging.Assert(tf.equal(problem, ""), [problem])


def refuse(problem: tf.Tensor) -> None:
    """Raises a problem as an error, outside of graphs.

    Args:
        problem: what `problem_with` returned.

    Raises:
        ValueError: there is one.
    """
    words = problem.numpy().decode()
    if words:
        raise ValueError(words)


@contextlib.contextmanager
def problems_as_errors() -> Iterator[None]:
    """Raises as `ValueError` what `assert_none` found in a graph."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = _FAILED.search(str(error))
        if found is None:
            raise
        # TensorFlow shows strings with escapes, byte by byte.
        words = found[1].encode().decode("unicode_escape").encode("latin-1").decode()
        raise ValueError(words) from None


def _of_values(key: str, value: Any, name: str) -> list[tuple[Any, Any]]:
    """Returns the checks of one tensor."""
    value = _flat(value)
    empty = f"{key} of the {name} holds no examples: give each task at least one."
    checks: list[tuple[Any, Any]] = [(tf.size(value) > 0, empty)]
    if value.dtype.is_floating or value.dtype.is_complex:
        words = f"{key} of the {name} holds NaN or infinite values: remove or replace them."
        checks.append((tf.reduce_all(tf.math.is_finite(_real(value))), words))
    return checks


def _of_labels(part: str, value: Any, classes: int, name: str) -> list[tuple[Any, Any]]:
    """Returns the checks of targets that are class indices."""
    value = _flat(value)
    which = f"labels of {part!r} of the {name}" if part else f"labels of the {name}"
    checks = []
    if value.dtype.is_floating:
        whole = tf.equal(value, tf.floor(value))
        broken = tf.reduce_max(tf.where(whole, value.dtype.min, value))
        fraction = (f"{which} must be whole numbers, class indices, got ", _shown(broken), ".")
        checks.append((tf.reduce_all(whole), tf.strings.join(fraction)))
    else:
        value = tf.cast(value, tf.int64)
    least, greatest = tf.reduce_min(value), tf.reduce_max(value)
    limits = f"{which} must lie in 0..{classes - 1}, since the model has {classes} outputs; "
    words = (limits, "got labels from ", _shown(least), " to ", _shown(greatest), ".")
    holds = tf.logical_and(least >= 0, greatest < classes)
    return [*checks, (holds, tf.strings.join(words))]


def _flat(value: Any) -> tf.Tensor:
    """Returns the numbers of a tensor, also of a ragged one."""
    return value.flat_values if isinstance(value, tf.RaggedTensor) else tf.convert_to_tensor(value)


def _real(value: tf.Tensor) -> tf.Tensor:
    return tf.abs(value) if value.dtype.is_complex else value


def _shown(number: tf.Tensor) -> tf.Tensor:
    if number.dtype.is_floating:
        return tf.strings.as_string(tf.cast(number, tf.float64), shortest=True)
    return tf.strings.as_string(number)
