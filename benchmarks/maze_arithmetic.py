"""The matrix products of an update of a maze's agent, and nothing else."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import tensorflow as tf

from warptf import reinforcement

Backwards = Literal["steps", "once", "never"]
Modulated = (reinforcement.WarpRNNCell, reinforcement.HyperRNNCell)


class Matrix(NamedTuple):
    """A matrix that a step multiplies a vector of each episode by.

    Attributes:
        rows: of the matrix.
        columns: of the matrix.
        backwards: how often the way back multiplies by its transpose: at each step, once for all
            steps as a state depends on no such product, or never as nothing before it is learned.
        per_episode: whether each episode has a matrix of its own: a trace of a plastic cell, which
            is a state and no weight.
    """

    rows: int
    columns: int
    backwards: Backwards
    per_episode: bool = False

    @property
    def transposed(self) -> "Matrix":
        """The transpose."""
        return self._replace(rows=self.columns, columns=self.rows)


class Sizes(NamedTuple):
    """How many steps and episodes there are.

    Attributes:
        steps: `T`, steps of an episode.
        episodes: `B`, episodes side by side.
    """

    steps: int
    episodes: int


def matrices_of(agent: Any) -> list[Matrix]:
    """Returns the matrices of an agent, in the order in which a step multiplies by them.

    The two heads count as one matrix. What multiplies each element once and sums nothing up, such
    as a plastic cell's outer products, counts as element-wise.

    Args:
        agent: a `RecurrentAgent` with one of the cells that `warptf train maze` knows.
    """
    cell = agent.cell
    heads = Matrix(cell.units, agent.action_count + 1, "once")
    # Observations are given: nothing is to be learned before a product with one alone.
    if isinstance(cell, Modulated):
        modulator = cell.modulator
        of_states = (
            modulator.recurrent_kernel,
            modulator.projection,
            cell.recurrent_kernel,
            cell.kernel,
        )
        return [_matrix(modulator.kernel, "never"), *map(_matrix, of_states), heads]
    matrices = [_matrix(cell.kernel, "never"), _matrix(cell.recurrent_kernel)]
    if isinstance(cell, reinforcement.TNetRNNCell):
        # The warp of the inputs stands between the observations and the kernel to be learned.
        matrices += [_matrix(cell.input_warp.kernel, "once"), _matrix(cell.state_warp.kernel)]
    if isinstance(cell, reinforcement.HebbianRNNCell):
        trace = Matrix(cell.units, cell.units, "steps", per_episode=True)
        matrices += [trace, _matrix(cell.modulation_kernel)]
    return [*matrices, heads]


def _matrix(kernel: Any, backwards: Backwards = "steps") -> Matrix:
    rows, columns = kernel.shape
    return Matrix(rows, columns, backwards)


def matrices_backwards(matrices: Sequence[Matrix]) -> list[Matrix]:
    """Returns the matrices that each step of the way back multiplies by.

    Args:
        matrices: those of a step forward.
    """
    back = [matrix.transposed for matrix in reversed(matrices) if matrix.backwards == "steps"]
    # A trace gained an outer product of two states: its gradient is multiplied by each of them.
    traces = [matrix for matrix in back if matrix.per_episode]
    return [*back, *traces, *traces]


def flops(matrices: Sequence[Matrix], sizes: Sizes) -> tuple[int, int]:
    """Returns the multiplications and additions of `forward` and those of `backward`.

    Args:
        matrices: those of a step forward.
        sizes: numbers of steps and episodes.
    """
    back = [*matrices_backwards(matrices), *_once(matrices), *_weights(matrices)]
    count = 2 * sizes.steps * sizes.episodes
    forward, backward = (count * sum(m.rows * m.columns for m in ms) for ms in (matrices, back))
    return forward, backward


def forward(matrices: Sequence[Matrix], sizes: Sizes, jit_compile: bool) -> Callable[[], Any]:
    """Returns a function that computes all products of the way forward, step after step.

    Args:
        matrices: those of a step.
        sizes: numbers of steps and episodes.
        jit_compile: whether XLA compiles the loop.
    """
    inputs, kernels = _operands(matrices, sizes.episodes)
    run = tf.function(chain, jit_compile=jit_compile, autograph=False)
    return lambda: run(inputs, kernels, sizes.steps)


def backward(matrices: Sequence[Matrix], sizes: Sizes, jit_compile: bool) -> Callable[[], Any]:
    """Returns a function that computes all products of the way back.

    Those of the states step after step; the gradient of each weight matrix, and what no state
    depends on, as one product over all steps.

    Args:
        matrices: those of a step forward.
        sizes: numbers of steps and episodes.
        jit_compile: whether XLA compiles it.
    """
    steps, lived = sizes.steps, sizes.steps * sizes.episodes
    operands = _operands(matrices_backwards(matrices), sizes.episodes)
    once = list(zip(*_operands(_once(matrices), lived), strict=True))
    weights = [
        (_random(lived, matrix.rows), _random(lived, matrix.columns))
        for matrix in _weights(matrices)
    ]

    def whole(once: Any, weights: Any) -> list[tf.Tensor]:
        of_weights = [tf.matmul(x, upstream, transpose_a=True) for x, upstream in weights]
        return [*(tf.matmul(x, kernel) for x, kernel in once), *of_weights]

    def products(operands: Any, once: Any, weights: Any) -> Any:
        inputs, kernels = operands
        passed = chain(inputs, kernels, steps)
        # They wait for the states' pass as an agent's do, where another core could compute them
        # meanwhile: the number is finite, but no compiler knows.
        after = tf.cond(
            tf.math.is_finite(passed[-1][0, 0]),
            lambda: whole(once, weights),
            lambda: [tf.zeros(t.shape) for t in whole(once, weights)],
        )
        return passed, after

    run = tf.function(products, jit_compile=jit_compile, autograph=False)
    return lambda: run(operands, once, weights)


def _once(matrices: Sequence[Matrix]) -> list[Matrix]:
    return [matrix.transposed for matrix in matrices if matrix.backwards == "once"]


def _weights(matrices: Sequence[Matrix]) -> list[Matrix]:
    return [matrix for matrix in matrices if not matrix.per_episode]


def chain(inputs: Sequence[tf.Tensor], kernels: Sequence[tf.Tensor], steps: int) -> list[tf.Tensor]:
    """Multiplies by each matrix in turn, again and again.

    As in an agent, no product can be computed before the one before it: the first half of its
    input's columns are columns of the last product's result, which costs a copy of a few kilobytes.
    The other half never changes, so that numbers neither grow nor vanish. All columns of all
    products are the loop's state and are returned, so that no compiler can leave any out.

    Args:
        inputs: what to multiply, `[B, rows]` for each matrix.
        kernels: the matrices, each `[rows, columns]`, or `[B, rows, columns]`.
        steps: how often.

    Returns:
        The products of the last step, `[B, columns]` each.
    """

    def body(step: tf.Tensor, products: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        after = [products[-1]]
        for x, kernel in zip(inputs, kernels, strict=True):
            after.append(_product(_linked(after[-1], x), kernel))
        return step + 1, after[1:]

    start = [tf.zeros((x.shape[0], k.shape[-1])) for x, k in zip(inputs, kernels, strict=True)]
    _, products = tf.while_loop(
        lambda step, _: step < steps,
        body,
        (tf.constant(0), start),
        maximum_iterations=steps,
        parallel_iterations=1,
    )
    return products


def _linked(before: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    shared = min(before.shape[1], (x.shape[1] + 1) // 2)
    return tf.concat([before[:, :shared], x[:, shared:]], axis=1)


def _product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    if kernel.shape.rank == 2:
        return tf.matmul(x, kernel)
    return tf.squeeze(tf.matmul(x[:, None], kernel), axis=1)


def _operands(matrices: Sequence[Matrix], count: int) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Returns inputs `[count, rows]` and matrices, random, of products that have variance 1."""
    inputs = [_random(count, matrix.rows) for matrix in matrices]
    kernels = [
        _random(*([count] if m.per_episode else []), m.rows, m.columns) / m.rows**0.5
        for m in matrices
    ]
    return inputs, kernels


_seeds = itertools.count()


def _random(*shape: int) -> tf.Tensor:
    return tf.random.stateless_normal(shape, (0, next(_seeds)))
