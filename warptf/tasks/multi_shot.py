"""Multi-shot character recognition: every alphabet is a task."""

import numpy as np
import tensorflow as tf

from warptf.tasks.affine_distortion import AffineDistortion
from warptf.tasks.character_bank import CharacterBank
from warptf.tasks.mini_batches import (
    as_floats,
    checked_count,
    drawn_counts,
    folded,
    legacy_seed,
    training_task,
)
from warptf.tasks.prefetched import prefetched
from warptf.tasks.task import Task

SPLITS = ("train", "validation", "test")


class MultiShot:
    """Tasks whose classes are characters of one alphabet, with many drawings of each.

    Every alphabet of at least `ways` characters is one task; `ways` of its characters are drawn,
    and the drawings of each character are cut into training and held-out ones. Mini-batches are
    drawn at random, with replacement and without balancing classes, from the training drawings
    alone, be they for inner steps, for replay or for the meta loss; the held-out drawings only
    score. Alphabets are cut into meta-training, validation and test ones. The test alphabets
    depend on `seed` only, and fewer training alphabets are a part of more. Labels are the positions
    of the characters within the task, 0 to `ways` - 1.

    Axes: `T` tasks, `K` steps, `B` drawings of a mini-batch, `Q = ways * held-out drawings`, in
    the order of the characters. Images are `float32` in [0, 1], `[..., height, width, 1]`, ink is
    1; labels are `int32`.

    Args:
        bank: The characters.
        ways: Classes of a task. Defaults to 20.
        train_alphabets: Alphabets for meta-training. Defaults to 25.
        test_alphabets: Alphabets held out for the meta-test; those that remain are for validation.
            Defaults to 10.
        train_drawings: Drawings of each character to learn from; the others are held out.
            Defaults to 15.
        tasks_per_batch: Tasks `T` of a training meta-batch: without repetition as long as there are
            enough alphabets, else each about as often as any other. Defaults to 20.
        steps: Inner steps `K`. Defaults to 100.
        batch_size: Drawings `B` of a mini-batch. Defaults to 20.
        evaluation_steps: `K` of validation and test tasks. Defaults to `steps`.
        evaluation_batch_size: `B` of validation and test tasks. Defaults to `batch_size`.
        evaluation_tasks_per_batch: Tasks `T` of an evaluation meta-batch, which has no influence
            on what the tasks hold. Defaults to 5.
        query_steps: Whether the query of training tasks has a step axis: `[T, K, B, ...]`, else
            `[T, B, ...]`. Defaults to `False`.
        replay: Whether training tasks hold `replay`, as the offline algorithm needs.
            Defaults to `True`.
        distortion: Applied to each drawing whenever it is drawn; `None` for no distortion.
            Defaults to `AffineDistortion()`.
        seed: An integer that all draws derive from. Defaults to 0.

    Raises:
        TypeError: If `bank` is no `CharacterBank`, or a count is no integer.
        ValueError: If a count is out of range, or `bank` has too few alphabets, characters or
            drawings.

    >>> import numpy as np
    >>> bank = CharacterBank(
    ...     np.random.RandomState(0).randint(0, 256, [12, 4, 8, 8]).astype("uint8"),
    ...     np.repeat([0, 1, 2, 3], 3), ["A", "B", "C", "D"])
    >>> tasks = MultiShot(bank, ways=3, train_alphabets=2, test_alphabets=1, train_drawings=3,
    ...                   tasks_per_batch=2, steps=5, batch_size=4)
    >>> task = next(iter(tasks.train))
    >>> print(task.support[0].shape, task.support[1].shape, task.query[0].shape)
    (2, 5, 4, 8, 8, 1) (2, 5, 4) (2, 4, 8, 8, 1)
    >>> print(next(iter(tasks.test)).query[0].shape)
    (1, 3, 8, 8, 1)

    Reference:
        [Meta-Learning with Warped Gradient Descent](https://arxiv.org/abs/1909.00025), section 4.1
        and appendix G.
    """

    def __init__(
        self,
        bank: CharacterBank,
        *,
        ways: int = 20,
        train_alphabets: int = 25,
        test_alphabets: int = 10,
        train_drawings: int = 15,
        tasks_per_batch: int = 20,
        steps: int = 100,
        batch_size: int = 20,
        evaluation_steps: int | None = None,
        evaluation_batch_size: int | None = None,
        evaluation_tasks_per_batch: int = 5,
        query_steps: bool = False,
        replay: bool = True,
        distortion: AffineDistortion | None = AffineDistortion(),  # noqa: B008 - immutable
        seed: int = 0,
    ) -> None:
        if not isinstance(bank, CharacterBank):
            raise TypeError(f"`bank` must be a CharacterBank, received {type(bank).__name__}.")
        counts = {
            "ways": ways,
            "train_alphabets": train_alphabets,
            "test_alphabets": test_alphabets,
            "train_drawings": train_drawings,
            "tasks_per_batch": tasks_per_batch,
            "steps": steps,
            "batch_size": batch_size,
            "evaluation_steps": steps if evaluation_steps is None else evaluation_steps,
            "evaluation_batch_size": (
                batch_size if evaluation_batch_size is None else evaluation_batch_size
            ),
            "evaluation_tasks_per_batch": evaluation_tasks_per_batch,
        }
        for name, value in counts.items():
            checked_count(name, value, least=2 if name == "ways" else 1)
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ValueError(f"`seed` must be an integer, 0 or more, received {seed!r}.")
        if distortion is not None and not callable(distortion):
            raise TypeError(
                f"`distortion` must be an AffineDistortion or None, received {distortion!r}."
            )
        self.ways = ways
        self.tasks_per_batch = tasks_per_batch
        self.steps = steps
        self.batch_size = batch_size
        self.evaluation_steps = counts["evaluation_steps"]
        self.evaluation_batch_size = counts["evaluation_batch_size"]
        self.evaluation_tasks_per_batch = evaluation_tasks_per_batch
        self.query_steps = bool(query_steps)
        self.replay = bool(replay)
        self.distortion = distortion
        self.seed = int(seed)
        self.image_shape = bank.image_shape
        self._bank = bank
        self._train_drawings = train_drawings
        self._alphabets = _cut_alphabets(bank, counts, self.seed)
        if not 1 <= train_drawings < bank.drawings:
            raise ValueError(
                f"`train_drawings` must leave a drawing to hold out of the {bank.drawings} that "
                f"each character has, received {train_drawings}."
            )

    @property
    def train(self) -> tf.data.Dataset:
        """Meta-training batches without end, from meta-step 0."""
        return self.train_from(0)

    @property
    def validation(self) -> tf.data.Dataset:
        """Each validation alphabet once; the query is all of its held-out drawings, distorted."""
        return self._evaluation("validation", distorted=True)

    @property
    def validation_undistorted(self) -> tf.data.Dataset:
        """`validation` with the same support and a query that is not distorted."""
        return self._evaluation("validation", distorted=False)

    @property
    def test(self) -> tf.data.Dataset:
        """Each test alphabet once; the query is all of its held-out drawings, distorted."""
        return self._evaluation("test", distorted=True)

    @property
    def test_undistorted(self) -> tf.data.Dataset:
        """`test` with the same support and a query that is not distorted."""
        return self._evaluation("test", distorted=False)

    def describe(self) -> dict[str, list[str]]:
        """Tell which alphabets are in which split.

        Returns:
            Names of alphabets for "train" (in the order of `task_id`), "validation" and "test".
        """
        return {
            split: [self._bank.names[alphabet] for alphabet in alphabets]
            for split, alphabets in self._alphabets.items()
        }

    def train_from(self, step: int) -> tf.data.Dataset:
        """Meta-training batches without end; batch `i` depends on the seed and `step + i` only.

        Args:
            step: The meta-step to start at.

        Returns:
            A data set of `Task`, whose `task_id` is the index of the training alphabet.
        """
        if isinstance(step, bool) or not isinstance(step, (int, np.integer)) or step < 0:
            raise ValueError(f"`step` must be an integer, 0 or more, received {step!r}.")
        pool, _ = self._pools("train")
        axes = (self.steps, self.batch_size)
        options = (axes, self.query_steps, self.replay)
        count = sum(drawn_counts(*options))

        def task(index: tf.Tensor) -> Task:
            key = self._key("train", index // self.tasks_per_batch)
            alphabet = self._order(key)[index % self.tasks_per_batch]
            key = tf.random.experimental.stateless_fold_in(key, index % self.tasks_per_batch)
            drawn = self._draw(pool, alphabet, count, key)
            return training_task(drawn, *options, task_id=alphabet)

        tasks = tf.data.Dataset.counter(int(step) * self.tasks_per_batch).map(
            task, tf.data.AUTOTUNE
        )
        return prefetched(tasks.batch(self.tasks_per_batch, drop_remainder=True))

    def _evaluation(self, split: str, distorted: bool) -> tf.data.Dataset:
        pool, held_out = self._pools(split)
        alphabets = pool.shape[0]
        steps, batch_size = self.evaluation_steps, self.evaluation_batch_size
        labels = tf.repeat(tf.range(self.ways), held_out.shape[1] // self.ways)

        def task(index: tf.Tensor) -> Task:
            support_key, query_key = tf.unstack(
                tf.random.experimental.stateless_split(self._key(split, index), 2)
            )
            support = self._draw(pool, tf.cast(index, tf.int32), steps * batch_size, support_key)
            x = as_floats(held_out[index])
            if distorted and self.distortion is not None:
                x = self.distortion(x, query_key)
            number = tf.cast(index, tf.int32)
            return Task(folded(support, (steps, batch_size)), (x, labels), task_id=number)

        size = min(self.evaluation_tasks_per_batch, alphabets)
        tasks = tf.data.Dataset.range(alphabets).map(task, tf.data.AUTOTUNE)
        return prefetched(tasks.batch(size, drop_remainder=alphabets % size == 0))

    def _pools(self, split: str) -> tuple[tf.Tensor, tf.Tensor]:
        """Training and held-out drawings, each `[alphabets, ways * drawings, height, width, 1]`."""
        alphabets = self._alphabets[split]
        if not alphabets:
            raise ValueError(
                f"no alphabet is left for {split}: lower `train_alphabets` "
                f"(now {len(self._alphabets['train'])}) or `test_alphabets` "
                f"(now {len(self._alphabets['test'])})."
            )
        images = np.stack([self._task_drawings(alphabet) for alphabet in alphabets])
        parts = np.split(images, [self._train_drawings], axis=2)
        with tf.device("CPU:0"):
            train, held_out = (
                tf.constant(part.reshape(len(alphabets), -1, *self.image_shape)) for part in parts
            )
        return train, held_out

    def _task_drawings(self, alphabet: int) -> np.ndarray:
        """`[ways, drawings, height, width]`: drawn characters, their drawings in drawn order."""
        # The legacy generator's stream is frozen for good, that of numpy.random.Generator is not.
        random = np.random.RandomState(legacy_seed(self.seed, 1, alphabet))
        characters = random.permutation(np.flatnonzero(self._bank.alphabets == alphabet))
        characters = characters[: self.ways]
        drawings = np.stack([random.permutation(self._bank.drawings) for _ in characters])
        return self._bank.images[characters[:, None], drawings]

    def _key(self, split: str, index: tf.Tensor) -> tf.Tensor:
        """The seed of one meta-step or of one evaluation task."""
        seed = tf.constant([self.seed, SPLITS.index(split)], tf.int64)
        return tf.random.experimental.stateless_fold_in(seed, index)

    def _order(self, key: tf.Tensor) -> tf.Tensor:
        """`[at least T]` training alphabets: one random order of all of them after another."""
        alphabets = len(self._alphabets["train"])
        rounds = -(-self.tasks_per_batch // alphabets)
        order = tf.random.stateless_uniform([rounds, alphabets], key)
        return tf.reshape(tf.argsort(order, axis=-1), [-1])

    def _draw(
        self, pool: tf.Tensor, alphabet: tf.Tensor, count: int, key: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """`count` distorted training drawings of an alphabet, and their labels."""
        which_key, distortion_key = tf.unstack(tf.random.experimental.stateless_split(key, 2))
        size = pool.shape[1]
        which = tf.random.stateless_uniform([count], which_key, 0, size, tf.int32)
        images = tf.gather(tf.reshape(pool, [-1, *self.image_shape]), alphabet * size + which)
        x = as_floats(images)
        if self.distortion is not None:
            x = self.distortion(x, distortion_key)
        return x, which // self._train_drawings


def _cut_alphabets(bank: CharacterBank, counts: dict[str, int], seed: int) -> dict[str, list[int]]:
    ways, train, test = (counts[k] for k in ("ways", "train_alphabets", "test_alphabets"))
    sizes = bank.alphabet_sizes.values()
    eligible = [alphabet for alphabet, size in enumerate(sizes) if size >= ways]
    if train + test > len(eligible):
        raise ValueError(
            f"`train_alphabets` ({train}) and `test_alphabets` ({test}) need {train + test} "
            f"alphabets of at least `ways` ({ways}) characters, but `bank` has {len(eligible)} of "
            f"its {len(bank.names)}; lower one of these."
        )
    random = np.random.RandomState(legacy_seed(seed, 0))
    order = random.permutation(eligible).tolist()
    return {
        "train": order[test : test + train],
        "validation": order[test + train :],
        "test": order[:test],
    }
