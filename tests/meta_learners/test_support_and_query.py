"""Adaptation sees the support set alone, whatever stands in the query set."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import warptf
from warptf.tasks import ClassSplit, FewShot, ImageBank, Task

STEPS = 3


@pytest.fixture(scope="module")
def tasks() -> FewShot:
    images = np.random.RandomState(0).randint(0, 256, [60, 16, 16, 1]).astype("uint8")
    bank = ImageBank(images, np.repeat(range(6), 10), list("abcdef"))
    split = ClassSplit(["a", "b"], ["c", "d"], ["e", "f"])
    return FewShot(bank, split, ways=2, shots=2, queries=3, evaluation_tasks=4)


def scores(tasks: tf.data.Dataset, batch_norm: str, steps: int = STEPS) -> dict[str, np.ndarray]:
    learner = warptf.OnlineMetaLearner(
        warptf.models.few_shot_learner(2, 3, None, (16, 16, 1)),
        warptf.inner_optimizers.SGD(0.5),
        inner_steps=STEPS,
        objective=None,
        initialization=warptf.initializations.MAML(),
        batch_norm=batch_norm,
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner.compile(keras.optimizers.Adam(), loss, metrics=["accuracy"])
    return learner.evaluate_tasks(tasks, steps)


@pytest.mark.parametrize("batch_norm", ["support", "transductive"])
def test_the_query_set_has_no_influence_on_adaptation(tasks: FewShot, batch_norm: str) -> None:
    def noise(task: Task) -> Task:
        x, y = task.query
        return task._replace(query=(tf.random.stateless_uniform(tf.shape(x), [1, 2]), 1 - y))

    own = scores(tasks.test, batch_norm)
    other = scores(tasks.test.map(noise), batch_norm)
    # The loss at each step tells the parameters that the steps before have led to.
    np.testing.assert_array_equal(own["support_loss"], other["support_loss"])
    assert not np.array_equal(own["loss"], other["loss"])


def test_labels_of_the_query_set_change_its_score_alone(tasks: FewShot) -> None:
    def turned(task: Task) -> Task:
        x, y = task.query
        return task._replace(query=(x, 1 - y))

    own, other = scores(tasks.test, "support"), scores(tasks.test.map(turned), "support")
    np.testing.assert_array_equal(own["support_loss"], other["support_loss"])
    # Of two classes, what was right is wrong and the other way round.
    np.testing.assert_allclose(own["accuracy"] + other["accuracy"], 1.0, rtol=1e-6)


def test_images_of_a_task_are_in_one_of_the_two_sets(tasks: FewShot) -> None:
    """Every image of this bank is unlike all others, so that it tells which it is."""
    for data in (tasks.train.take(20), tasks.validation, tasks.test):
        for task in data:
            for support, query in zip(task.support[0], task.query[0], strict=True):
                images = [image.tobytes() for image in (*support.numpy(), *query.numpy())]
                assert len(set(images)) == len(images) == 2 * (2 + 3)
