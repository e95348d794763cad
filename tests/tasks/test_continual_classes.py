"""Continual classification: which images and labels a sequence is made of."""

import numpy as np
import pytest
from contracts.task_distribution import check_task_distribution

from warptf.tasks import ClassSplit, ContinualClasses, ImageBank

CLASSES, EACH, HELD_OUT = 12, 7, 2
SPLIT = ClassSplit(list("abcd"), list("efgh"), list("ijkl"))


def numbered() -> ImageBank:
    """Each image has its own number, 1 to 84, as its only pixel; a class's are in a row."""
    images = np.arange(1, CLASSES * EACH + 1, dtype="uint8").reshape(-1, 1, 1, 1)
    return ImageBank(images, np.arange(CLASSES * EACH) // EACH, list("abcdefghijkl"))


def make(**kwargs) -> ContinualClasses:
    defaults = dict(ways=2, held_out=HELD_OUT, sub_tasks=2, steps=3, batch_size=20)
    return ContinualClasses(numbered(), SPLIT, **{**defaults, **kwargs})


def numbers(x) -> np.ndarray:
    return np.rint(np.asarray(x)[..., 0, 0, 0] * 255).astype(int) - 1


def test_task_distribution_contract() -> None:
    check_task_distribution(make(tasks_per_batch=2, evaluation_tasks=3), classes=4)


def test_groups_are_of_different_classes_of_the_split_and_labels_follow_them() -> None:
    tasks = make(tasks_per_batch=8)
    task = next(iter(tasks.train))
    for x, y in zip(numbers(task.support[0]), task.support[1].numpy(), strict=True):
        by_label = {label: set((x // EACH)[y == label]) for label in range(4)}
        # Each label stands for one class, different labels for different ones, all of training.
        assert all(len(classes) == 1 for classes in by_label.values())
        assert len(set.union(*by_label.values())) == 4
        assert set.union(*by_label.values()) <= set(range(4))
        assert set(y[:3].ravel()) == {0, 1} and set(y[3:].ravel()) == {2, 3}
    assert tasks.classes == 4


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_images_to_score_on_are_never_learned_from(order) -> None:
    tasks = make(evaluation_tasks=20, evaluation_queries=50).in_order(order)
    for task in tasks.test:
        learned, scored = numbers(task.support[0]), numbers(task.query[0])
        assert np.all(learned % EACH < EACH - HELD_OUT)
        assert np.all(scored % EACH >= EACH - HELD_OUT)
        assert set(learned.ravel() // EACH) <= set(range(8, 12))
        np.testing.assert_array_equal(task.query[1][:, ::50] // 2, [order] * len(scored))
    for task in tasks.train.take(3):
        assert np.all(numbers(task.query[0]) % EACH < EACH - HELD_OUT)


def test_too_few_classes_or_images_are_named() -> None:
    with pytest.raises(ValueError, match=r"train has 4 classes .* fewer than the 6 of `sub_tasks`"):
        make(sub_tasks=3)
    with pytest.raises(ValueError, match=r"no more images than `held_out` \(7\): 'a', 'b'"):
        make(held_out=7)
    with pytest.raises(TypeError, match="`ways`"):
        make(ways=1.5)


def test_splits_are_described_by_their_classes() -> None:
    assert make().describe()["test"] == list("ijkl")
