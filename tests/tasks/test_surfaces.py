"""Random surfaces: which are drawn, and where descent starts."""

import numpy as np
from contracts.task_distribution import check_task_distribution

from warptf.losses import SurfaceValue
from warptf.tasks import Surfaces


def test_task_distribution_contract() -> None:
    check_task_distribution(Surfaces(starts=2, evaluation_surfaces=3))


def parameters(tasks, count: int) -> np.ndarray:
    return np.array([task.support[1][0, 0] for task in tasks.take(count)])


def test_parameters_are_those_of_the_paper_and_uniform() -> None:
    count = 3000
    drawn = parameters(Surfaces(starts=1).train, count)
    ranges = [(1, 10), *[(-1, 1)] * 3, *[(-5, 5)] * 3]
    for column, (low, high) in zip(drawn.T, ranges, strict=True):
        kinds = np.arange(low, high + 1)
        counts = np.array([(column == kind).sum() for kind in kinds])
        assert counts.sum() == count
        share = 1 / len(kinds)
        # Six deviations of a binomial count.
        assert abs(counts - count * share).max() < 6 * np.sqrt(count * share * (1 - share))


def test_no_surface_of_a_split_is_in_another() -> None:
    tasks = Surfaces(starts=1, evaluation_surfaces=1500)
    splits = {
        "train": parameters(tasks.train, 6000),
        "validation": parameters(tasks.validation, 1500),
        "test": parameters(tasks.test, 1500),
    }
    seen = {name: set(map(tuple, rows)) for name, rows in splits.items()}
    assert not seen["train"] & seen["test"] and not seen["train"] & seen["validation"]
    assert not seen["validation"] & seen["test"]
    assert len(seen["test"]) > 1400


def test_starts_are_uniform_and_share_their_surface() -> None:
    batches = list(Surfaces(starts=500).train.take(2))
    for task in batches:
        starts = task.support[0].numpy()[:, 0]
        assert starts.shape == (500, 2) and abs(starts).max() <= 3
        assert np.histogram2d(*starts.T, bins=4)[0].min() > 0
        assert len(np.unique(task.support[1][:, 0], axis=0)) == 1
        np.testing.assert_array_equal(task.support[0], task.query[0])
    assert not np.array_equal(*(task.support[0] for task in batches))


def test_a_batch_of_several_surfaces_has_those_of_as_many_batches() -> None:
    one, three = Surfaces(starts=2), Surfaces(starts=2, surfaces_per_batch=3)
    (batch,) = three.train_from(1).take(1)
    apart = list(one.train_from(3).take(3))
    for part in (0, 1):
        together = np.concatenate([task.support[part] for task in apart])
        np.testing.assert_array_equal(batch.support[part], together)
    assert batch.support[0].shape == (6, 1, 2)


def test_value_is_that_of_the_formula_by_hand() -> None:
    s, a, b, x = 2.0, (1.0, -1.0, 0.0), (3.0, -2.0, 4.0), (0.5, -0.25)
    first = b[0] * (a[0] - x[0]) ** 2 * np.exp(-(x[0] ** 2) - (x[1] + a[1]) ** 2)
    second = b[1] * (x[0] / s - x[0] ** 3 - x[1] ** 5) * np.exp(-(x[0] ** 2) - x[1] ** 2)
    third = b[2] * np.exp(-((x[0] + a[2]) ** 2) - x[1] ** 2)
    value = SurfaceValue()(np.array([[s, *a, *b]]), np.array([x]))
    np.testing.assert_allclose(value, first - second - third, rtol=1e-6)
