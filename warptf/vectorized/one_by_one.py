"""Operations that are run for one task after the other, within what is computed at once."""

import tensorflow as tf

from warptf.vectorized.registry import Conversion, Wrapped, create, task_count, wrapped

# Random numbers of a task come from its own seed, as each task by itself would draw them, and the
# kernels take one seed for all numbers.
DRAWS = (
    "StatelessMultinomial",
    "StatelessParameterizedTruncatedNormal",
    "StatelessRandomBinomial",
    "StatelessRandomGammaV2",
    "StatelessRandomGammaV3",
    "StatelessRandomGetKeyCounter",
    "StatelessRandomGetKeyCounterAlg",
    "StatelessRandomNormal",
    "StatelessRandomNormalV2",
    "StatelessRandomPoisson",
    "StatelessRandomUniform",
    "StatelessRandomUniformFullInt",
    "StatelessRandomUniformFullIntV2",
    "StatelessRandomUniformInt",
    "StatelessRandomUniformIntV2",
    "StatelessRandomUniformV2",
    "StatelessShuffle",
    "StatelessTruncatedNormal",
    "StatelessTruncatedNormalV2",
)


def convert_one_by_one(conversion: Conversion) -> list[Wrapped]:
    """Runs an operation for one task after the other.

    Args:
        conversion: the operation.
    """
    tasks = task_count(conversion)

    def run(task: int | tf.Tensor) -> list[tf.Tensor]:
        return create(conversion, [v.t[task] if v.is_stacked else v.t for v in conversion.inputs])

    if isinstance(tasks, int):
        each = [run(task) for task in range(tasks)]
        found = [tf.stack(outputs) for outputs in zip(*each, strict=True)]
    else:
        signature = [tf.TensorSpec(t.shape, t.dtype) for t in conversion.outputs]
        found = tf.map_fn(run, tf.range(tasks), fn_output_signature=signature)
    return [wrapped(outputs) for outputs in found]
