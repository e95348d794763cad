"""Conjugate gradient on lists of tensors."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Tensors = list[tf.Tensor]

# Where the squared residual has fallen to this part of the first, rounding is all that is left.
_SOLVED = 1e-12


def solve(product: Callable[[Tensors], Tensors], b: Tensors, steps: int) -> Tensors:
    r"""Returns an approximate solution $x$ of $A x = b$, $A$ symmetric.

    Starts at $x = 0$ and stops early when solved, or at a direction $p$ with $p^\top A p \le 0$;
    if that is the first direction, $b$ itself is returned.

    Args:
        product: $v \mapsto A v$.
        b: the right-hand side.
        steps: steps at most.

    Reference:
        Nocedal and Wright, Numerical Optimization, algorithms 5.2 and 7.1.
    """
    start = _dot(b, b)

    def unsolved(k: tf.Tensor, x: Any, r: Any, p: Any, rr: tf.Tensor, good: tf.Tensor) -> tf.Tensor:
        return (k < steps) & good & (rr > _SOLVED * start)

    def advance(k: tf.Tensor, x: Any, r: Any, p: Any, rr: tf.Tensor, good: tf.Tensor) -> Any:
        ap = product(p)
        curvature = _dot(p, ap)
        good = curvature > 0
        alpha = tf.where(good, tf.math.divide_no_nan(rr, curvature), 0.0)
        x, r = _plus(x, alpha, p), _plus(r, -alpha, ap)
        new = _dot(r, r)
        p = _plus(r, tf.math.divide_no_nan(new, rr), p)
        return k + 1, x, r, p, new, good

    zeros = [tf.zeros_like(v) for v in b]
    loop = (tf.constant(0), zeros, list(b), list(b), start, tf.constant(True))
    k, x, _, _, _, good = tf.while_loop(unsolved, advance, loop, maximum_iterations=steps)
    failed = ~good & (k == 1)
    return [tf.where(failed, right, solution) for right, solution in zip(b, x, strict=True)]


def _dot(left: Tensors, right: Tensors) -> tf.Tensor:
    # In double precision, which costs nothing here and keeps sums over many parameters exact.
    products = zip(left, right, strict=True)
    return tf.add_n([tf.reduce_sum(tf.cast(a * b, tf.float64)) for a, b in products])


def _plus(x: Tensors, factor: tf.Tensor, y: Tensors) -> Tensors:
    return [a + tf.cast(factor, a.dtype) * b for a, b in zip(x, y, strict=True)]
