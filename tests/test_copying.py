"""Adapted models and what is served carry all of a model's state, weights or not."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

import warptf
from warptf.adapted_model import AdaptedModel
from warptf.copying import copy_model
from warptf.inner_optimizers import SGD

LABELS = np.array([0, 1, 0, 1], "int32")
WORDS = np.array([["cat dog"], ["dog"], ["bird cat"], ["cow"]])
NUMBERS = np.random.default_rng(0).normal(100, 20, (4, 3)).astype("float32")
Dense = keras.layers.Dense


def of_numbers():
    """Moments, boundaries and a vocabulary that were learned from data, one in a nested model."""
    inputs = keras.Input((3,))
    moments, bins = keras.layers.Normalization(), keras.layers.Discretization(num_bins=4)
    ids = keras.layers.IntegerLookup()
    moments.adapt(NUMBERS)
    bins.adapt(NUMBERS)
    ids.adapt(np.array([[0], [2], [3]]))
    nested = keras.Sequential([keras.Input((3,)), moments], name="nested")
    found = keras.layers.Embedding(8, 2)(ids(bins(inputs)))
    both = keras.layers.Concatenate()([nested(inputs), keras.layers.Flatten()(found)])
    return keras.Model(inputs, Dense(2)(both)), NUMBERS


def of_words():
    inputs = keras.Input((1,), dtype="string")
    whole = keras.layers.StringLookup()
    text = keras.layers.TextVectorization(output_sequence_length=2)
    weighed = keras.layers.TextVectorization(output_mode="tf_idf")
    for layer in (whole, text, weighed):
        layer.adapt(WORDS)
    parts = [keras.layers.Flatten()(keras.layers.Embedding(8, 2)(f(inputs))) for f in (whole, text)]
    both = keras.layers.Concatenate()([*parts, keras.layers.Flatten()(weighed(inputs))])
    return keras.Model(inputs, Dense(2)(both)), WORDS


class NoConfig(keras.Model):
    """What Keras cannot make anew: the constructor's arguments are layers."""

    def __init__(self, body, dropout=0.0):
        super().__init__()
        self.body, self.head = body, Dense(2, kernel_regularizer="l2")
        self.norm = keras.layers.BatchNormalization(momentum=0.5)
        self.drop = keras.layers.Dropout(dropout, seed=1)

    def call(self, inputs, training=False):
        normed = self.norm(self.body(inputs), training=training)
        return self.head(self.drop(normed, training=training))


def no_config():
    moments = keras.layers.Normalization()
    moments.adapt(NUMBERS)
    model = NoConfig(keras.Sequential([keras.Input((3,)), moments, Dense(4, "tanh")]))
    model(NUMBERS)
    return model, NUMBERS


class Doubling(keras.Model):
    """It can be made anew, but not with what was set afterwards."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor, self.head = factor, Dense(2)

    def call(self, inputs):
        return self.head(self.factor * inputs)

    def get_config(self):
        return super().get_config()


def changed():
    model = Doubling(0.01)
    model(NUMBERS)
    return model, NUMBERS


def lambda_layer():
    layers = [keras.Input((3,)), keras.layers.Lambda(lambda v: v / 100.0), Dense(2)]
    return keras.Sequential(layers), NUMBERS


HELD = {"no config": no_config, "changed": changed, "designated": lambda: designated(no_config)}
MADE = {"numbers": of_numbers, "words": of_words, "lambda": lambda_layer}


def designated(make):
    model, x = make()
    return warptf.designate(model, task=[model.head]), x


def meta_learner(model):
    learner = warptf.OnlineMetaLearner(
        model, SGD(0.1), 1, objective=None, initialization=warptf.initializations.MAML()
    )
    learner.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return learner


def compiled(model):
    model.compile(
        keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


def values(model):
    return [np.array(v) for v in (*model.trainable_variables, *model.non_trainable_variables)]


@pytest.mark.parametrize("case", {**MADE, **HELD})
def test_one_step_of_adaptation_is_one_step_of_keras(case):
    """On a model that Keras trains itself, afterwards: adaptation changes nothing of it."""
    model, x = {**MADE, **HELD}[case]()
    x = tf.constant(x)  # of strings as TensorFlow has them
    adapted = meta_learner(model).adapt(x, LABELS)
    assert (type(adapted) is AdaptedModel) == (case in HELD)
    assert case in HELD or type(adapted) is type(model)
    compiled(model).train_on_batch(x, LABELS)
    for own, expected in zip(values(adapted), values(model), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-5, atol=1e-6)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(adapted.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)
    # Nor does it share anything with the model, which goes on.
    before = values(adapted)
    model.train_on_batch(x, LABELS)
    for own, old in zip(values(adapted), before, strict=True):
        np.testing.assert_array_equal(own, old)


@pytest.mark.slow
def test_a_backbone_of_keras_keeps_its_moments():
    inputs = keras.Input((32, 32, 3))
    body = keras.applications.EfficientNetB0(weights=None, include_top=False, pooling="avg")
    norm = next(v for v in body.layers if isinstance(v, keras.layers.Normalization))
    x = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
    norm.adapt(x)
    model = keras.Model(inputs, Dense(2)(body(inputs)))
    adapted = meta_learner(model).adapt(x, LABELS)
    copied = next(v for v in adapted.layers[1].layers if isinstance(v, keras.layers.Normalization))
    np.testing.assert_array_equal(copied.mean, norm.mean)
    # So deep a model of random weights magnifies rounding without bound: the same weights, then.
    for variable, own in zip(model.variables, adapted.variables, strict=True):
        variable.assign(own)
    np.testing.assert_allclose(adapted(x), model(x), rtol=1e-4)


def test_layers_named_as_operations_are_copied():
    """`layers.Add` and the `ops.Add` of an operator have one name."""
    inputs = keras.Input((3,))
    summed = keras.layers.Add()([Dense(3)(inputs), 2.0 + keras.layers.ReLU(6.0)(inputs + 3.0)])
    model = keras.Model(inputs, Dense(2)(summed * 0.5))
    copied = copy_model(model)
    assert type(copied) is type(model)
    np.testing.assert_array_equal(copied(NUMBERS), model(NUMBERS))


@pytest.mark.parametrize("case", [pytest.param("numbers", marks=pytest.mark.slow), "words"])
def test_what_is_served_has_its_tables_and_moments(case, tmp_path):
    """In a process that has neither the package nor Keras."""
    model, x = MADE[case]()
    learner = meta_learner(model)
    expected = learner.adapt(tf.constant(x), LABELS, 2)(tf.constant(x))
    learner.export(tmp_path / "served", tf.TensorSpec([None], tf.int32))
    np.savez(tmp_path / "x.npz", x=x)
    script = f"""
        import sys
        sys.modules["warptf"] = sys.modules["keras"] = None
        import numpy as np, tensorflow as tf
        x = tf.constant(np.load({str(tmp_path / "x.npz")!r})["x"])
        served = tf.saved_model.load({str(tmp_path / "served")!r})
        found = served.adapt_and_predict(x, [0, 1, 0, 1], x, 2)["predictions"]
        np.save({str(tmp_path / "found.npy")!r}, found)
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(script)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, rtol=1e-5, atol=1e-6)


def test_litert_files_keep_the_moments(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    inputs = keras.Input((8, 8, 1))
    moments = keras.layers.Normalization()
    x = np.random.default_rng(0).normal(100, 20, (4, 8, 8, 1)).astype("float32")
    moments.adapt(x)
    pooled = keras.layers.MaxPooling2D()(keras.layers.Conv2D(2, 3)(moments(inputs)))
    head = keras.layers.Flatten()(keras.layers.BatchNormalization()(pooled))
    model = keras.Model(inputs, Dense(2)(head))
    warptf.export_litert(model, tmp_path / "model.tflite")
    predict = Interpreter(str(tmp_path / "model.tflite")).get_signature_runner("predict")
    np.testing.assert_allclose(predict(x=x)["predictions"], model(x), rtol=1e-4, atol=1e-5)


def test_a_held_model_is_fine_tuned_as_keras_trains():
    model = NoConfig(Dense(4, "tanh"), dropout=0.0)
    model(NUMBERS / 100)
    x = NUMBERS / 100
    adapted = compiled(meta_learner(model).adapt(x, LABELS))
    for variable, value in zip(
        (*model.trainable_variables, *model.non_trainable_variables), values(adapted), strict=True
    ):
        variable.assign(value)
    losses = [one.evaluate(x, LABELS, verbose=0) for one in (adapted, compiled(model))]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    histories = [
        one.fit(x, LABELS, epochs=3, verbose=0, shuffle=False).history["loss"]
        for one in (adapted, model)
    ]
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-5)
    for own, expected in zip(values(adapted), values(model), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-6)


def test_a_held_model_says_what_cannot_be_saved_and_saves_what_can(tmp_path):
    model, x = no_config()
    adapted = meta_learner(model).adapt(x, LABELS)
    with pytest.raises(ValueError, match=r"give its class NoConfig a get_config\(\)"):
        adapted.save(tmp_path / "adapted.keras")
    with pytest.raises(ValueError, match=r"export\(folder\) work"):
        adapted.get_config()
    assert not list(tmp_path.iterdir())
    expected = np.array(adapted(x))
    adapted.save_weights(tmp_path / "adapted.weights.h5")
    other = meta_learner(model).adapt(x, LABELS[::-1].copy(), 3)
    assert np.max(np.abs(other(x) - expected)) > 1e-3
    other.load_weights(tmp_path / "adapted.weights.h5")
    np.testing.assert_array_equal(other(x), expected)
    adapted.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(served.serve(x), expected, rtol=1e-6)


class Failing(keras.Model):
    """Its constructor fails in TensorFlow, where it is made anew."""

    error: tf.errors.OpError | None = None

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.head = Dense(2)
        if Failing.error is not None:
            raise Failing.error

    def call(self, inputs):
        return self.head(inputs)

    def get_config(self):
        return super().get_config()


@pytest.mark.parametrize("kind", ["UnavailableError", "AbortedError", "InternalError"])
def test_a_machine_that_fails_says_nothing_about_the_model(kind, monkeypatch, tmp_path):
    model = Failing()
    model(NUMBERS)
    learner = meta_learner(model)
    failure = getattr(tf.errors, kind)(None, None, "Collective ops is aborted")
    monkeypatch.setattr(Failing, "error", failure)
    for use in (lambda: learner.save(tmp_path / "a.keras"), lambda: learner.adapt(NUMBERS, LABELS)):
        with pytest.raises(type(failure), match="Collective ops is aborted"):
            use()
    assert not list(tmp_path.iterdir())
    # What the model itself asks for in vain is a reason not to save it, and to adapt it as it is.
    monkeypatch.setattr(Failing, "error", tf.errors.InvalidArgumentError(None, None, "no such op"))
    with pytest.raises(ValueError, match=r"cannot be saved.*get_config\(\).*no such op"):
        learner.save(tmp_path / "a.keras")
    assert type(learner.adapt(NUMBERS, LABELS)) is AdaptedModel
