"""Few-shot classification: a few classes of a bank, a few images of each, again and again."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from warptf.tasks.class_images import classes_of, smallest
from warptf.tasks.class_split import ClassSplit, checked_seed
from warptf.tasks.image_bank import ImageBank
from warptf.tasks.mini_batches import (
    as_floats,
    checked_count,
    drawn_counts,
    folded,
    training_task,
)
from warptf.tasks.prefetched import prefetched
from warptf.tasks.task import Task
from warptf.tasks.wording import some_of

SPLITS = ("train", "validation", "test")
_BEYOND = tf.int32.max  # Larger than any random number that is drawn here.


class FewShot:
    """Tasks of `ways` classes, with `shots` images of each to learn from and others to score on.

    For each task classes are drawn without replacement from those of its split, and from each class
    images without replacement, which are then cut into support and query: no image of a task is in
    both. A task's classes are numbered in the order in which they were drawn, so that the same
    class has another label in another task. Every draw is a function of the seed, the split and
    the number of the task alone, so that a stream can start at any step. Validation and test tasks
    have their number as `task_id`.

    Without `steps`, the whole support serves every inner step, and the query, in training as in
    evaluation, is the held-out images. With `steps` (the multi-shot protocol), mini-batches are
    drawn at random, with replacement and without balancing classes, from the support images alone,
    be they for inner steps, for replay or for the meta loss; held-out images are drawn for
    validation and test tasks only, where they score.

    Axes: `T` tasks, `K` steps, `B` images of a mini-batch, `S = ways * shots`,
    `Q = ways * queries`; `S` and `Q` run through the labels in order, `shots` or `queries` images
    of label 0 first. Images are `float32` in [0, 1] (unless `normalize` says otherwise),
    `[..., height, width, channels]`; labels are `int32`, 0 to `ways` - 1.

    | | support | query |
    |---|---|---|
    | without `steps` | `[T, S, ...]` | `[T, Q, ...]`, held out |
    | with `steps`, training | `[T, K, B, ...]` | `[T, (K,) B, ...]`, drawn from the support |
    | with `steps`, evaluation | `[T, K, B, ...]` | `[T, Q, ...]`, held out |

    Args:
        bank: The images, or their features (`feature_bank`). Where they are mapped, they are read
            from their file as they are drawn.
        split: Which of the bank's classes are in which split.
        ways: Classes of a task. Defaults to 5.
        shots: Images of each class to learn from. Defaults to 1.
        queries: Held-out images of each class. Defaults to 15.
        evaluation_ways: `ways` of validation and test tasks. Defaults to `ways`.
        evaluation_shots: `shots` of validation and test tasks. Defaults to `shots`.
        evaluation_queries: `queries` of validation and test tasks. Defaults to `queries`.
        tasks_per_batch: Tasks `T` of a training meta-batch. Defaults to 4.
        evaluation_tasks: Number of test tasks. Defaults to 600.
        validation_tasks: Number of validation tasks. Defaults to `evaluation_tasks`.
        evaluation_tasks_per_batch: Tasks `T` of an evaluation meta-batch, which has no influence
            on what the tasks hold; the last batch may have fewer. With many steps lower it: 640
            steps of 64 images of 84x84x3 are 3.5 GB a task. Defaults to 5.
        steps: Inner steps `K`, for the multi-shot protocol; `None` for whole support sets.
            Defaults to `None`.
        batch_size: Images `B` of a mini-batch; to be given with `steps`. Defaults to `None`.
        evaluation_steps: `K` of validation and test tasks. Defaults to `steps`.
        query_steps: Whether the query of training tasks has a step axis; needs `steps`.
            Defaults to `False`.
        replay: Whether training tasks hold `replay`, as the offline algorithm needs; needs
            `steps`. Defaults to `False`.
        augmentation: Called as `augmentation(images, seed)` on the images `[N, height, width,
            channels]` of a training task, every draw of them anew; has to return as many of the
            same shape and to depend on nothing else. Never applied in evaluation. Defaults to
            `None`.
        normalize: `(mean, deviation)`, each a number or one per channel: images become
            `(image - mean) / deviation` after augmentation. `None` leaves them in [0, 1]. Defaults
            to `None`.
        seed: An integer that all draws derive from. Defaults to 0.

    Raises:
        TypeError: If `bank` or `split` has another type, or a count is no integer.
        ValueError: If a count is out of range, arguments do not go together, a split has fewer
            than `ways` classes, or a class has too few images.

    >>> import numpy as np
    >>> bank = ImageBank(np.random.RandomState(0).randint(0, 256, [60, 8, 8, 3]).astype("uint8"),
    ...                  np.repeat(range(6), 10), list("abcdef"))
    >>> split = ClassSplit(["a", "b"], ["c", "d"], ["e", "f"])
    >>> tasks = FewShot(bank, split, ways=2, shots=1, queries=3)
    >>> task = next(iter(tasks.train))
    >>> print(task.support[0].shape, task.query[0].shape)
    (4, 2, 8, 8, 3) (4, 6, 8, 8, 3)
    >>> print(task.query[1][0].numpy())
    [0 0 0 1 1 1]

    Reference:
        [Matching Networks for One Shot Learning](https://arxiv.org/abs/1606.04080), for the tasks;
        [Meta-Learning with Warped Gradient Descent](https://arxiv.org/abs/1909.00025), section 4.1
        and appendix H, for training with more shots than at test and for the multi-shot protocol.
    """

    def __init__(
        self,
        bank: ImageBank,
        split: ClassSplit,
        *,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        evaluation_ways: int | None = None,
        evaluation_shots: int | None = None,
        evaluation_queries: int | None = None,
        tasks_per_batch: int = 4,
        evaluation_tasks: int = 600,
        validation_tasks: int | None = None,
        evaluation_tasks_per_batch: int = 5,
        steps: int | None = None,
        batch_size: int | None = None,
        evaluation_steps: int | None = None,
        query_steps: bool = False,
        replay: bool = False,
        augmentation: Callable[[Any, Any], Any] | None = None,
        normalize: tuple[Any, Any] | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(bank, ImageBank):
            raise TypeError(
                f"`bank` must be an ImageBank, received {type(bank).__name__}; of a CharacterBank "
                "warptf.tasks.character_classes makes one."
            )
        if not isinstance(split, ClassSplit):
            raise TypeError(f"`split` must be a ClassSplit, received {type(split).__name__}.")
        if augmentation is not None and not callable(augmentation):
            raise TypeError(f"`augmentation` must be callable or None, received {augmentation!r}.")
        checked_seed(seed)
        self.ways = checked_count("ways", ways, least=2)
        self.shots = checked_count("shots", shots)
        self.queries = checked_count("queries", queries)
        self.evaluation_ways = checked_count("evaluation_ways", evaluation_ways, ways, least=2)
        self.evaluation_shots = checked_count("evaluation_shots", evaluation_shots, shots)
        self.evaluation_queries = checked_count("evaluation_queries", evaluation_queries, queries)
        self.tasks_per_batch = checked_count("tasks_per_batch", tasks_per_batch)
        self.evaluation_tasks = checked_count("evaluation_tasks", evaluation_tasks)
        self.validation_tasks = checked_count(
            "validation_tasks", validation_tasks, evaluation_tasks
        )
        self.evaluation_tasks_per_batch = checked_count(
            "evaluation_tasks_per_batch", evaluation_tasks_per_batch
        )
        _check_protocol(steps, batch_size, evaluation_steps, query_steps, replay)
        self.steps = None if steps is None else checked_count("steps", steps)
        self.batch_size = None if batch_size is None else checked_count("batch_size", batch_size)
        self.evaluation_steps = (
            None if steps is None else checked_count("evaluation_steps", evaluation_steps, steps)
        )
        self.query_steps = bool(query_steps)
        self.replay = bool(replay)
        self.augmentation = augmentation
        self.normalize = normalize
        self.seed = int(seed)
        self.image_shape = bank.image_shape
        self._bank = bank
        self._split = split
        self._scale = _checked_normalize(normalize, self.image_shape[-1])
        split.check(bank)
        self._classes = {name: classes_of(bank, split.parts[name]) for name in SPLITS}
        self._check_sizes()

    @property
    def train(self) -> tf.data.Dataset:
        """Meta-training batches without end, from meta-step 0."""
        return self.train_from(0)

    @property
    def validation(self) -> tf.data.Dataset:
        """Tasks of the validation classes, always the same `validation_tasks` of them."""
        return self._evaluation("validation", self.validation_tasks)

    @property
    def test(self) -> tf.data.Dataset:
        """Tasks of the test classes, always the same `evaluation_tasks` of them."""
        return self._evaluation("test", self.evaluation_tasks)

    def describe(self) -> dict[str, list[str]]:
        """Tell which classes are in which split.

        Returns:
            Names of classes for "train", "validation" and "test".
        """
        return {name: list(classes) for name, classes in self._split.parts.items()}

    def train_from(self, step: int) -> tf.data.Dataset:
        """Meta-training batches without end; batch `i` depends on the seed and `step + i` only.

        Args:
            step: The meta-step to start at.

        Returns:
            A data set of `Task`, whose `task_id` is `None`.
        """
        if isinstance(step, bool) or not isinstance(step, (int, np.integer)) or step < 0:
            raise ValueError(f"`step` must be an integer, 0 or more, received {step!r}.")
        read = self._reader()
        make = self._whole_task if self.steps is None else self._task_with_steps

        def task(index: tf.Tensor) -> Task:
            return make(read, self._key("train", index))

        tasks = tf.data.Dataset.counter(int(step) * self.tasks_per_batch).map(
            task, tf.data.AUTOTUNE
        )
        return prefetched(tasks.batch(self.tasks_per_batch, drop_remainder=True))

    def _whole_task(self, read: Callable[[tf.Tensor], tf.Tensor], key: tf.Tensor) -> Task:
        episode_key, augmentation_key = _two_keys(key)
        images = self._episode("train", self.ways, self.shots, self.queries, episode_key)
        support, query = (tf.reshape(part, [-1]) for part in images)
        x = self._prepared(read(tf.concat([support, query], 0)), augmentation_key)
        return Task(
            support=(x[: support.shape[0]], _labels(self.ways, self.shots)),
            query=(x[support.shape[0] :], _labels(self.ways, self.queries)),
        )

    def _task_with_steps(self, read: Callable[[tf.Tensor], tf.Tensor], key: tf.Tensor) -> Task:
        assert self.steps is not None and self.batch_size is not None
        options = ((self.steps, self.batch_size), self.query_steps, self.replay)
        episode_key, key = _two_keys(key)
        which_key, augmentation_key = _two_keys(key)
        support, _ = self._episode("train", self.ways, self.shots, 0, episode_key)
        numbers, y = _drawn(support, sum(drawn_counts(*options)), which_key)
        return training_task((self._prepared(read(numbers), augmentation_key), y), *options)

    def _evaluation(self, split: str, tasks: int) -> tf.data.Dataset:
        read = self._reader()
        ways, shots, queries = self._evaluation_sizes

        def task(index: tf.Tensor) -> Task:
            episode_key, which_key = _two_keys(self._key(split, index))
            numbers, held_out = self._episode(split, ways, shots, queries, episode_key)
            labels = _labels(ways, queries)
            query = self._prepared(read(tf.reshape(held_out, [-1]))), labels
            number = tf.cast(index, tf.int32)
            if self.evaluation_steps is None or self.batch_size is None:
                x = self._prepared(read(tf.reshape(numbers, [-1])))
                return Task((x, _labels(ways, shots)), query, task_id=number)
            axes = (self.evaluation_steps, self.batch_size)
            numbers, y = _drawn(numbers, axes[0] * axes[1], which_key)
            support = folded((self._prepared(read(numbers)), y), axes)
            return Task(support, query, task_id=number)

        size = min(self.evaluation_tasks_per_batch, tasks)
        made = tf.data.Dataset.range(tasks).map(task, tf.data.AUTOTUNE)
        return prefetched(made.batch(size, drop_remainder=tasks % size == 0))

    @property
    def _evaluation_sizes(self) -> tuple[int, int, int]:
        return self.evaluation_ways, self.evaluation_shots, self.evaluation_queries

    def _episode(
        self, split: str, ways: int, shots: int, queries: int, key: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Numbers of images, `[ways, shots]` and `[ways, queries]`, all of them different."""
        images, sizes = self._classes[split]
        class_key, image_key = _two_keys(key)
        order = tf.random.stateless_uniform([len(sizes)], class_key, 0, _BEYOND, tf.int32)
        classes = smallest(order, ways)
        order = tf.random.stateless_uniform(
            [ways, images.shape[1]], image_key, 0, _BEYOND, tf.int32
        )
        exists = tf.range(images.shape[1]) < tf.gather(sizes, classes)[:, None]
        places = smallest(tf.where(exists, order, _BEYOND), shots + queries)
        chosen = tf.gather(tf.gather(images, classes), places, batch_dims=1)
        return chosen[:, :shots], chosen[:, shots:]

    @functools.cached_property
    def _images(self) -> tf.Tensor:
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.constant(self._bank.images)

    def _reader(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """What reads images `[N, height, width, channels]`, `uint8`, by their numbers `[N]`."""
        if not self._bank.is_mapped:
            images = self._images
            return lambda numbers: tf.gather(images, numbers)
        stored = self._bank.images

        def read(numbers: tf.Tensor) -> tf.Tensor:
            x = tf.numpy_function(
                lambda numbers: np.asarray(stored[numbers]), [numbers], stored.dtype, stateful=False
            )
            return tf.ensure_shape(x, [*numbers.shape, *self.image_shape])

        return read

    def _prepared(self, images: tf.Tensor, augmentation_key: tf.Tensor | None = None) -> tf.Tensor:
        x = as_floats(images) if images.dtype == tf.uint8 else tf.cast(images, tf.float32)
        if augmentation_key is not None and self.augmentation is not None:
            x = tf.ensure_shape(self.augmentation(x, augmentation_key), x.shape)
        return x if self._scale is None else (x - self._scale.mean) / self._scale.deviation

    def _key(self, split: str, index: tf.Tensor) -> tf.Tensor:
        """The seed of one task."""
        seed = tf.constant([self.seed, SPLITS.index(split)], tf.int64)
        return tf.random.experimental.stateless_fold_in(seed, index)

    def _check_sizes(self) -> None:
        for name in SPLITS:
            parts = self._split.parts[name]
            ways, shots, queries = self._evaluation_sizes
            prefix = "" if name == "train" else "evaluation_"
            if name == "train":
                # The multi-shot protocol holds no image out in training.
                ways, shots, queries = self.ways, self.shots, 0 if self.steps else self.queries
            if len(parts) < ways:
                argument = "ways" if self.evaluation_ways == self.ways else f"{prefix}ways"
                raise ValueError(
                    f"`split`: {name} has {len(parts)} classes ({some_of(parts)}), fewer than "
                    f"`{argument}` ({ways}); lower `{argument}` or move classes to that part."
                )
            sizes = self._classes[name].sizes
            small = [f"{parts[i]} ({sizes[i]})" for i in np.flatnonzero(sizes < shots + queries)]
            if small:
                raise ValueError(
                    f"`split`: classes of {name} with fewer images than the {shots + queries} that "
                    f"a task takes ({shots} shots and {queries} queries): {some_of(small)}; lower "
                    f"`{prefix}shots` or `{prefix}queries`, or leave these classes out."
                )


class _Scale(NamedTuple):
    mean: np.ndarray
    deviation: np.ndarray


def _labels(ways: int, images: int) -> tf.Tensor:
    return tf.repeat(tf.range(ways), images)


def _two_keys(key: tf.Tensor) -> list[tf.Tensor]:
    return tf.unstack(tf.random.experimental.stateless_split(key, 2))


def _drawn(images: tf.Tensor, count: int, key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw numbers of images, and their labels, with replacement from `[ways, shots]`."""
    ways, shots = images.shape
    which = tf.random.stateless_uniform([count], key, 0, ways * shots, tf.int32)
    return tf.gather(tf.reshape(images, [-1]), which), which // shots


def _check_protocol(
    steps: Any, batch_size: Any, evaluation_steps: Any, query_steps: Any, replay: Any
) -> None:
    if (steps is None) != (batch_size is None):
        raise ValueError(
            f"`steps` and `batch_size` go together, received {steps!r} and {batch_size!r}; give "
            "both for mini-batches, or neither for whole support sets."
        )
    others = {"evaluation_steps": evaluation_steps, "query_steps": query_steps, "replay": replay}
    needless = [name for name, value in others.items() if value is not None and value is not False]
    if steps is None and needless:
        raise ValueError(
            f"`{needless[0]}` ({others[needless[0]]!r}) is for mini-batches; give `steps` and "
            "`batch_size` with it."
        )


def _checked_normalize(normalize: Any, channels: int) -> _Scale | None:
    if normalize is None:
        return None
    try:
        mean, deviation = (np.asarray(part, np.float32) for part in normalize)
        scale = _Scale(*(np.broadcast_to(part, [channels]) for part in (mean, deviation)))
    except (TypeError, ValueError):
        raise ValueError(
            f"`normalize` must be (mean, deviation), each a number or one for each of the "
            f"{channels} channels, received {normalize!r}."
        ) from None
    if not np.isfinite(scale).all() or (scale.deviation <= 0).any():
        raise ValueError(f"`normalize` must be finite, its deviation positive; {normalize!r} not.")
    return scale
