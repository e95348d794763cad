"""The best learner on validation is chosen by what the validation tasks can tell."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from warptf.train.engine.selection import BY_TASK, by_task, chosen, gain, validation_figures
from warptf.train.engine.untrained import is_untrained, words

RANDOM = np.random.default_rng(0)


def row(step: int, **figures: object) -> dict:
    """An evaluation with the figures of each task."""
    means = {name: float(np.mean(values)) for name, values in figures.items()}
    return {"step": step, **means, BY_TASK: by_task(figures)}


def accuracies(mean: float, tasks: int = 50, deviation: float = 0.18) -> np.ndarray:
    values = RANDOM.normal(size=tasks)
    return mean + deviation * (values - values.mean()) / values.std(ddof=1)


def test_the_loss_decides_where_accuracies_cannot() -> None:
    """Fifty tasks: 0.405 ± 0.05 untrained, 0.376 after, the loss falling from 2.55 to 1.67."""
    untrained = row(0, accuracy=accuracies(0.405), loss=2.55 + 0.3 * RANDOM.normal(size=50))
    trained = row(400, accuracy=accuracies(0.376), loss=1.67 + 0.3 * RANDOM.normal(size=50))
    assert chosen([untrained, trained], "accuracy") is trained


def test_an_accuracy_that_is_worse_beyond_doubt_is_not_chosen_for_its_loss() -> None:
    values, losses = accuracies(0.5), np.ones(50)
    worse = row(4, accuracy=values - 0.1 + 0.01 * RANDOM.normal(size=50), loss=losses / 2)
    first = row(0, accuracy=values, loss=losses)
    assert chosen([first, worse], "accuracy") is first


def test_no_drift_below_the_best() -> None:
    """Each is as good as the one before, as far as can be told; the last is not as the first."""
    noise = [0.05 * RANDOM.normal(size=30) for _ in range(4)]
    base = accuracies(0.5, 30)
    rows = [
        row(k, accuracy=base - 0.015 * k + noise[k] - noise[k].mean(), loss=np.full(30, 2.0 - k))
        for k in range(4)
    ]
    told = [stats.ttest_rel(rows[0][BY_TASK]["accuracy"], r[BY_TASK]["accuracy"]) for r in rows[1:]]
    expected = max((k for k, each in enumerate(told, 1) if each.pvalue > 0.05), default=0)
    assert 0 < expected < 3
    assert chosen(rows, "accuracy")["step"] == expected


def test_paired_tasks_resolve_what_means_do_not() -> None:
    values = accuracies(0.4, 20)
    better = values + 0.01 + 0.005 * RANDOM.normal(size=20)
    assert not stats.ttest_ind(values, better).pvalue < 0.5
    rows = [
        row(0, accuracy=values, loss=np.ones(20)),
        row(1, accuracy=better, loss=np.ones(20) * 2),
    ]
    assert chosen(rows, "accuracy") is rows[1]


@settings(max_examples=25)
@given(st.lists(st.floats(-1, 1, width=32), min_size=4, max_size=4, unique=True))
def test_a_gain_is_that_of_a_paired_t_test(values: list[float]) -> None:
    others = [0.1, -0.4, 0.3, 0.2]
    for name, sign in (("accuracy", 1.0), ("loss", -1.0)):
        mean, half_width = gain(values, others, name)
        interval = stats.ttest_rel(values, others).confidence_interval(0.95)
        low, high = sorted((sign * interval.low, sign * interval.high))
        assert (mean - half_width, mean + half_width) == pytest.approx((low, high), abs=1e-9)


def test_means_decide_where_nothing_else_can() -> None:
    # Of earlier versions, which did not note the tasks; of a single task; equal ones stay first.
    plain = [{"step": k, "loss": loss} for k, loss in enumerate((3.0, 2.0, 2.0, 2.5))]
    assert chosen(plain, "loss")["step"] == 1
    single = [row(k, reward=[value]) for k, value in enumerate((1.0, 3.0, 2.0))]
    assert chosen(single, "reward")["step"] == 1
    assert chosen([], "accuracy") is None
    mixed = [{"step": 0, "accuracy": 0.5}, row(1, accuracy=[0.5, 0.7], loss=[1.0, 1.0])]
    assert chosen(mixed, "accuracy")["step"] == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_figures_that_are_not_finite_are_never_chosen_over_others(order: tuple[int, ...]) -> None:
    # As files of metrics have them, and as Python does.
    rows = [{"step": 0, "loss": None}, {"step": 1, "loss": float("nan")}, row(2, loss=[1.0, 2.0])]
    assert chosen([rows[k] for k in order], "loss")["step"] == 2


def test_the_result_says_what_was_chosen_and_what_it_gained() -> None:
    rows = [row(0, loss=[2.0, 3.0, 4.0]), row(5, loss=[1.0, 2.0, 3.0])]
    assert validation_figures(rows, "loss") == {
        "validation_loss": 2.0,
        "validation_loss_untrained": 3.0,
        "validation_loss_gain": 1.0,
        "validation_loss_gain_ci95": 0.0,
    }
    assert validation_figures(rows[1:], "loss") == {}


def test_what_is_said() -> None:
    untrained = {"reported_model": "untrained, best on validation", "reported_meta_step": 0}
    before = {"reported_model": "best on validation", "reported_meta_step": 0}
    for result in (untrained, before):
        assert is_untrained(result)
        assert words(result, "accuracy").startswith("the untrained learner was best on validation")
    last = {"reported_model": "last", "reported_meta_step": 0}
    trained = {"reported_model": "best on validation", "reported_meta_step": 5}
    gained = {**trained, "accuracy_gain": 0.1, "accuracy_gain_ci95": 0.05}
    for result in (last, trained, gained):
        assert not is_untrained(result) and words(result, "accuracy") is None
    said = words({**gained, "accuracy_gain": 0.01}, "accuracy")
    assert "did not help" in said and "0.01 ± 0.05" in said
