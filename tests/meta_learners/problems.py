"""Small learners, tasks and a learner whose gradients can be written out by hand."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

import warptf
from warptf.tasks import Task
from warptf.tasks.task import PARTS

INPUTS, HIDDEN, CLASSES = 2, 4, 3


def network(
    warp: bool = True, batch_norm: bool = False, dropout: float = 0.0, seed: int = 0
) -> keras.Sequential:
    """A classifier 2 -> 4 -> 3 with a warp layer in the middle."""

    def kernel(offset: int) -> keras.initializers.Initializer:
        return keras.initializers.RandomNormal(stddev=0.5, seed=10 * seed + offset)

    layers: list[Any] = [
        keras.Input((INPUTS,)),
        keras.layers.Dense(HIDDEN, "tanh", kernel_initializer=kernel(1), name="body"),
    ]
    if batch_norm:
        layers.append(keras.layers.BatchNormalization(momentum=0.5, name="norm"))
    if dropout:
        layers.append(keras.layers.Dropout(dropout, seed=3, name="drop"))
    if warp:
        layers.append(warptf.layers.WarpDense(HIDDEN, kernel_initializer=kernel(2), name="warp"))
    layers.append(keras.layers.Dense(CLASSES, kernel_initializer=kernel(3), name="head"))
    return keras.Sequential(layers, name="network")


def cross_entropy() -> keras.losses.Loss:
    """The loss of the classifier, which returns logits."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def classification_tasks(
    tasks: int = 2,
    steps: int | None = 3,
    query_steps: int | None = None,
    replay: bool = False,
    ids: bool = False,
    batch: int = 5,
    seed: int = 0,
) -> Task:
    """Random tasks; `steps=None` for one support set that serves every step."""
    random = np.random.default_rng(seed)

    def part(count: int | None) -> tuple[np.ndarray, np.ndarray]:
        axes = (tasks, batch) if count is None else (tasks, count, batch)
        x = random.normal(size=(*axes, INPUTS)).astype("float32")
        return x, random.integers(0, CLASSES, axes).astype("int32")

    return Task(
        support=part(steps),
        query=part(query_steps),
        replay=(part(steps), part(steps)) if replay else None,
        task_id=np.arange(tasks, dtype="int32") if ids else None,
    )


def stream(meta_steps: int, start: int = 0, **kwargs: Any) -> tf.data.Dataset:
    """Meta-batches `start .. start + meta_steps - 1` of an endless stream of random tasks."""
    batches = [
        classification_tasks(seed=100 + i, **kwargs) for i in range(start, start + meta_steps)
    ]
    present = [name for name in PARTS if getattr(batches[0], name) is not None]
    stacked = tf.nest.map_structure(
        lambda *leaves: np.stack(leaves), *[tuple(getattr(b, n) for n in present) for b in batches]
    )

    def as_task(*parts: Any) -> Task:
        return Task(**dict(zip(present, parts, strict=True)))

    return tf.data.Dataset.from_tensor_slices(stacked).map(as_task)


def one_batch(task: Task) -> tf.data.Dataset:
    """A data set of one meta-batch."""
    return tf.data.Dataset.from_tensors(task)


def values(model: keras.Model) -> list[np.ndarray]:
    """Copies of all variables of a model."""
    return [np.array(w) for w in model.get_weights()]


class ScalarLearner:
    r"""$f(x) = \theta \phi x$ with the squared error, all derivatives written out."""

    def __init__(self, theta: float, phi: float) -> None:
        self.theta, self.phi = np.float64(theta), np.float64(phi)

    def model(self) -> keras.Sequential:
        """The same learner in Keras."""
        constant = keras.initializers.Constant
        return keras.Sequential(
            [
                keras.Input((1,)),
                keras.layers.Dense(1, use_bias=False, kernel_initializer=constant(self.theta)),
                warptf.layers.WarpDense(1, use_bias=False, kernel_initializer=constant(self.phi)),
            ]
        )

    @staticmethod
    def loss(theta: Any, phi: Any, batch: Any) -> Any:
        x, y = batch
        return np.mean((theta * phi * x - y) ** 2)

    @staticmethod
    def theta_gradient(theta: Any, phi: Any, batch: Any) -> Any:
        x, y = batch
        return np.mean(2 * (theta * phi * x - y) * phi * x)

    @staticmethod
    def phi_gradient(theta: Any, phi: Any, batch: Any) -> Any:
        x, y = batch
        return np.mean(2 * (theta * phi * x - y) * theta * x)

    @staticmethod
    def mixed(theta: Any, phi: Any, batch: Any) -> Any:
        """Derivative of `theta_gradient` with respect to phi."""
        x, y = batch
        return np.mean(4 * theta * phi * x * x - 2 * x * y)

    @classmethod
    def warp_gradient(
        cls, theta: Any, phi: Any, alpha: Any, batch: Any, meta: Any, exact: bool
    ) -> Any:
        """One term of Eq. 7 (exact) or Eq. 8, differentiated by hand."""
        stepped = theta - alpha * cls.theta_gradient(theta, phi, batch)
        direct = cls.phi_gradient(stepped, phi, meta)
        if not exact:
            return direct
        v = cls.theta_gradient(stepped, phi, meta)
        return direct - alpha * v * cls.mixed(theta, phi, batch)


def scalar_tasks(
    tasks: int = 2, steps: int = 3, query_steps: bool = True, replay: bool = False, seed: int = 0
) -> Task:
    """Tasks `y = a x + noise` with another slope for each task."""
    random = np.random.default_rng(seed)
    slopes = random.normal(size=(tasks, 1, 1, 1)) + 1.0

    def part(with_steps: bool = True) -> tuple[np.ndarray, np.ndarray]:
        x = random.normal(size=(tasks, steps, 4, 1))
        y = slopes * x + 0.1 * random.normal(size=x.shape)
        pair = (x.astype("float32"), y.astype("float32"))
        return pair if with_steps else (pair[0][:, 0], pair[1][:, 0])

    return Task(
        support=part(),
        query=part(query_steps),
        replay=(part(), part()) if replay else None,
    )


def batch_of(part: Any, task: int, step: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The mini-batch of one task and step, in double precision."""
    index: Any = task if step is None else (task, step)
    return part[0][index].astype("float64"), part[1][index].astype("float64")
