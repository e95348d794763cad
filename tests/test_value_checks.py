"""What is wrong with data is found wherever it is, and nothing else is."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from warptf.value_checks import assert_none, problem_with, problems_as_errors, refuse

CLASSES = 4
KINDS = {"x": "float32", "y": "float64", "sample weights": "float16"}
BAD = [np.nan, np.inf, -np.inf]


def words(values, labels=()):
    return problem_with(values, labels, "support set").numpy().decode()


@settings(max_examples=60)
@given(st.data())
def test_numbers_that_are_not_finite_are_found_wherever_they_are(data):
    sizes = {key: data.draw(st.lists(st.integers(1, 4), max_size=3), key) for key in KINDS}
    random = np.random.default_rng(0)
    values = {k: random.normal(size=sizes[k]).astype(kind) for k, kind in KINDS.items()}
    bad = data.draw(st.none() | st.sampled_from(list(KINDS)))
    if bad is not None:
        position = data.draw(st.integers(0, values[bad].size - 1))
        values[bad] = values[bad].copy()
        values[bad].reshape(-1)[position] = data.draw(st.sampled_from(BAD))
    expected = f"{bad} of the support set holds NaN or infinite values: remove or replace them."
    assert words(list(values.items())) == ("" if bad is None else expected)


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([-1, 0, 1, 3, 4, 0.5, 2.25]), min_size=1, max_size=5),
    st.sampled_from(["float32", "float16", "int32", "uint8", "int64", "float64"]),
)
def test_labels_are_whole_and_in_range(labels, kind):
    if np.issubdtype(kind, np.integer):
        labels = [int(label) for label in labels if kind != "uint8" or label >= 0] or [0]
    y = np.array(labels, kind)
    found = words([("y", y)], [("", y, CLASSES)])
    fractions = [label for label in labels if label != int(label)]
    if fractions:
        assert found == (
            f"labels of the support set must be whole numbers, class indices, got {max(fractions)}."
        )
    elif not all(0 <= label < CLASSES for label in labels):
        assert found.startswith("labels of the support set must lie in 0..3, since the model has 4")
        assert found.endswith(f"got labels from {min(labels)} to {max(labels)}.")
    else:
        assert found == ""


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3, 2)])
def test_missing_examples_are_found_before_all_else(shape):
    y = np.zeros(shape)
    assert words([("y", y)], [("", y, 2)]) == (
        "y of the support set holds no examples: give each task at least one."
    )


def test_other_types_and_ragged_tensors():
    ragged = tf.ragged.constant([[1.0], [2.0, np.nan]])
    assert words([("x", ragged)]).startswith("x of the support set holds NaN")
    assert words([("x", np.array(["text"])), ("y", np.array([True]))]) == ""
    assert "'digit'" in words([], [("digit", np.array([9]), CLASSES)])


def test_graphs_fail_with_the_words():
    @tf.function(autograph=False)
    def use(x):
        assert_none(problem_with([("x['größe']", x)], [], "query"))
        return x

    use(tf.constant([1.0]))
    expected = r"^x\['größe'\] of the query holds NaN or infinite values: remove or replace them\.$"
    with pytest.raises(ValueError, match=expected), problems_as_errors():
        use(tf.constant([np.nan]))
    with pytest.raises(tf.errors.InvalidArgumentError), problems_as_errors():
        tf.reshape(tf.ones([3]), [2])
    refuse(tf.constant(""))
    with pytest.raises(ValueError, match="^wrong$"):
        refuse(tf.constant("wrong"))
