"""Images and initial values of the few-shot learner, for whatever library computes with them."""

import math

import numpy as np

WAYS, SIDE, BLOCKS = 5, 28, 4
# Small rates: what is learned does not matter, that it stays finite does.
INNER_RATE, OUTER_RATE = 0.01, 1e-3


def random_images(tasks: int, shots: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns images `[T, WAYS * shots, SIDE, SIDE, 1]` of noise and their classes.

    Args:
        tasks: tasks of a meta-batch.
        shots: images of each class.
        seed: what they derive from.
    """
    random = np.random.default_rng(seed)
    x = random.random((tasks, WAYS * shots, SIDE, SIDE, 1), dtype="float32")
    y = np.tile(np.repeat(np.arange(WAYS, dtype="int32"), shots), (tasks, 1))
    return x, y


def initial_values(filters: int, seed: int = 0) -> list[np.ndarray]:
    """Returns values for kernel, bias, scale and offset of each block, then of the dense layer.

    Kernels are laid out as Keras has them, `[height, width, inputs, outputs]` and `[inputs,
    outputs]`, and uniform as Glorot and Bengio have them.

    Args:
        filters: channels of each convolution.
        seed: what they derive from.
    """
    random = np.random.default_rng(seed)
    values, channels = [], 1
    for _ in range(BLOCKS):
        values += [_uniform(random, 3, 3, channels, filters), np.zeros(filters, "float32")]
        values += [np.ones(filters, "float32"), np.zeros(filters, "float32")]
        channels = filters
    features = filters * (SIDE // 2**BLOCKS) ** 2
    return [*values, _uniform(random, features, WAYS), np.zeros(WAYS, "float32")]


def _uniform(random: np.random.Generator, *shape: int) -> np.ndarray:
    fan_in, fan_out = math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1]
    bound = math.sqrt(6.0 / (fan_in + fan_out))
    return random.uniform(-bound, bound, shape).astype("float32")
