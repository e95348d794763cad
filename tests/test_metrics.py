import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from warptf.metrics import MacroF1

CLASSES = 4


def macro_f1(labels, predicted, classes):
    """Counted by hand, class by class."""
    scores = []
    for c in range(classes):
        hits = sum(a == c and b == c for a, b in zip(labels, predicted, strict=True))
        wrong = sum((a == c) != (b == c) for a, b in zip(labels, predicted, strict=True))
        scores.append(2 * hits / (2 * hits + wrong) if hits + wrong else 0.0)
    return sum(scores) / classes


@given(
    st.lists(
        st.tuples(
            st.integers(0, CLASSES - 1),
            st.permutations(range(CLASSES)),
            st.integers(-20, 20),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_equals_the_count_by_hand_for_any_logits(examples):
    labels = [label for label, _, _ in examples]
    logits = np.array([[r + shift for r in ranks] for _, ranks, shift in examples], "float32")
    metric = MacroF1(CLASSES)
    metric.update_state(labels, logits)
    expected = macro_f1(labels, logits.argmax(-1).tolist(), CLASSES)
    np.testing.assert_allclose(metric.result(), expected, atol=1e-5)


def test_batches_accumulate_and_reset_forgets():
    random = np.random.RandomState(0)
    labels, logits = random.randint(0, CLASSES, [30]), random.normal(size=[30, CLASSES])
    metric = MacroF1(CLASSES)
    metric.update_state(labels[:7], logits[:7])
    metric.update_state(labels[7:], logits[7:])
    expected = macro_f1(labels, logits.argmax(-1), CLASSES)
    np.testing.assert_allclose(metric.result(), expected, atol=1e-5)
    metric.reset_state()
    metric.update_state(labels[:1], np.eye(CLASSES)[labels[:1]])
    np.testing.assert_allclose(metric.result(), 1 / CLASSES, atol=1e-5)


def test_equal_outputs_count_for_the_first_class_alone():
    metric = MacroF1(2)
    metric.update_state([0, 1], np.zeros([2, 2], "float32"))
    np.testing.assert_allclose(metric.result(), macro_f1([0, 1], [0, 0], 2), atol=1e-5)


def test_weights_count_examples_repeatedly():
    logits = np.array([[2, 1, 0], [0, 1, 2], [0, 3, 1]], "float32")
    weighted, repeated = MacroF1(3), MacroF1(3)
    weighted.update_state([0, 1, 1], logits, sample_weight=[1.0, 2.0, 3.0])
    repeated.update_state([0, 1, 1, 1, 1, 1], logits[[0, 1, 1, 2, 2, 2]])
    np.testing.assert_allclose(weighted.result(), repeated.result(), atol=1e-6)


@pytest.mark.parametrize("loop", ["map_fn", "while_loop"])
def test_serves_statelessly_inside_graph_loops(loop):
    random = np.random.RandomState(1)
    labels = random.randint(0, CLASSES, [3, 10]).astype("int32")
    logits = random.normal(size=[3, 10, CLASSES]).astype("float32")
    metric = MacroF1(CLASSES)

    def score(y, x):
        zeros = [tf.zeros_like(v) for v in metric.variables]
        return metric.stateless_result(metric.stateless_update_state(zeros, y, x))

    @tf.function
    def scores(y, x):
        if loop == "map_fn":
            return tf.map_fn(lambda b: score(*b), (y, x), fn_output_signature=tf.float32)
        found = tf.TensorArray(tf.float32, 3)
        for task in tf.range(3):
            found = found.write(task, score(y[task], x[task]))
        return found.stack()

    expected = [macro_f1(y, x.argmax(-1), CLASSES) for y, x in zip(labels, logits, strict=True)]
    np.testing.assert_allclose(scores(labels, logits), expected, atol=1e-5)
    assert all(not np.any(v) for v in metric.variables)


def test_survives_serialisation_and_a_saved_model(tmp_path):
    copy = keras.metrics.deserialize(keras.metrics.serialize(MacroF1(3, name="f1")))
    assert (type(copy), copy.name, copy.num_classes) == (MacroF1, "f1", 3)
    model = keras.Sequential([keras.Input([2]), keras.layers.Dense(3)])
    model.compile(loss="sparse_categorical_crossentropy", metrics=[MacroF1(3)])
    x, y = np.ones([6, 2], "float32"), np.arange(6) % 3
    model.fit(x, y, verbose=0)
    expected = model.evaluate(x, y, verbose=0, return_dict=True)["macro_f1"]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.evaluate(x, y, verbose=0, return_dict=True)["macro_f1"] == expected


@pytest.mark.parametrize("classes", [1, 0, 2.5, True, "3"])
def test_refuses_an_impossible_number_of_classes(classes):
    with pytest.raises(ValueError, match="`num_classes`.*at least 2"):
        MacroF1(classes)


def test_refuses_outputs_of_another_length():
    with pytest.raises(ValueError, match=r"`y_pred`.*`num_classes` \(3\).*\(2, 5\)"):
        MacroF1(3).update_state([0, 1], np.zeros([2, 5]))
