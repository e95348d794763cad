"""Metrics are Keras' own: what is reported of one batch is what plain Keras reports."""

from typing import Any

import keras
import numpy as np
import pytest
from contracts.losses import (
    CLASSES,
    MAPS,
    NUMBERS,
    ONE_HOT,
    Data,
    assert_scores_as_keras,
    examples,
    network,
    scores,
)
from contracts.metrics import KINDS, NOT_METRICS, made
from test_compiled_loss import CROSS, masked_text, targets, two_outputs

M = keras.metrics


def test_every_metric_of_keras_is_known() -> None:
    exported = {name for name in dir(M) if not name.startswith("_")}
    assert exported - NOT_METRICS == set(KINDS)


# Keras counts in whole numbers where it was given weights that are none.
@pytest.mark.filterwarnings("ignore:You are passing weight as")
@pytest.mark.parametrize("by_name", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "data", sorted({data for kinds in KINDS.values() for data in kinds}, key=repr), ids=repr
)
def test_metrics_are_those_of_keras(data: Data, by_name: bool) -> None:
    names = sorted(name for name, kinds in KINDS.items() if data in kinds)
    weight = np.array([0.5, 2.0, 0.0, 1.0], "float32")
    for label in data.labels:
        # Of some of these Keras wants both to have the same rank.
        metrics = [made(n, by_name) for n in names if n != "R2Score" or len(label) == 1]
        x, y = examples(data, label, "int32", seed=11)
        assert_scores_as_keras(network(data), x, y, loss=_any_loss, metrics=metrics)
        if len(data.shape) == len(label) == 1:
            weighted = [made(n, by_name) for n in names if n != "R2Score" or len(label) == 1]
            assert_scores_as_keras(
                network(data), x, y, weight, loss=_any_loss, weighted_metrics=weighted
            )


def _any_loss(y_true: Any, y_pred: Any) -> Any:
    return keras.ops.sum(y_pred, axis=-1)


@pytest.mark.parametrize("data", [NUMBERS[0], ONE_HOT[0], CLASSES[0], CLASSES[1], MAPS[0]])
@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_accuracy_is_the_one_that_keras_means(data: Data, name: str) -> None:
    for label in data.labels:
        x, y = examples(data, label, "int32", seed=12)
        assert_scores_as_keras(network(data), x, y, loss=_any_loss, metrics=[name])


def test_the_same_metric_twice_has_the_names_of_keras() -> None:
    x, y = examples(CLASSES[0], (), "int32", seed=13)
    weight = np.array([0.5, 2.0, 0.0, 1.0], "float32")
    assert_scores_as_keras(
        network(CLASSES[0]._replace(activation=None)),
        x,
        y,
        weight,
        loss=CROSS,
        metrics=["accuracy", M.SparseCategoricalAccuracy(name="accuracy")],
        weighted_metrics=["accuracy"],
    )


def test_masks_count_in_metrics() -> None:
    ids = np.array([[1, 2, 0], [3, 0, 0], [4, 4, 1]])
    y = np.random.default_rng(7).normal(size=(3, 3, 1)).astype("float32")
    assert_scores_as_keras(masked_text(), ids, y, loss="mse", metrics=["mae", "accuracy"])


SEVERAL: dict[str, tuple[str, dict[str, Any]]] = {
    "for one": ("list", {"metrics": [["accuracy"], []]}),
    "names": ("list", {"metrics": {"price": ["mae"], "kind": "accuracy"}}),
    "dict": ("dict", {"metrics": {"kind": ["accuracy", "acc"]}}),
    "weighted": (
        "dict",
        {"metrics": {"kind": "accuracy"}, "weighted_metrics": {"kind": "accuracy", "price": "mae"}},
    ),
    "nested": ("nested", {"metrics": {"both": [["accuracy"], ["mae"]]}}),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_several_outputs(case: str) -> None:
    kind, arguments = SEVERAL[case]
    losses = {
        "list": [CROSS, "mse"],
        "dict": {"kind": CROSS, "price": "mse"},
        "nested": {"both": [CROSS, "mse"]},
    }
    x = np.random.default_rng(8).normal(size=(4, 2)).astype("float32")
    y = targets(kind, None)
    assert_scores_as_keras(two_outputs(kind), x, y, loss=losses[kind], **arguments)


def test_metrics_that_are_no_number_are_refused() -> None:
    x, y = examples(ONE_HOT[0], (3,), "float32", seed=14)
    with pytest.raises(ValueError, match=r'metric .f1_score. has values of shape \(3,\).*"macro"'):
        scores(network(ONE_HOT[0]), x, y, loss="mse", metrics=[M.F1Score()])


def test_metrics_of_outputs_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="nope"):
        scores(two_outputs("dict"), None, None, loss="mse", metrics={"nope": ["mae"]})
