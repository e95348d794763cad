"""Models that are changed, or used elsewhere, after a meta-learner was made of them."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from meta_learners.problems import classification_tasks, cross_entropy, network, one_batch, values

import warptf
from warptf.inner_optimizers import SGD

TASKS = classification_tasks(2, None)
X, Y = TASKS.support[0][0], TASKS.support[1][0]


def online(model=None):
    learner = warptf.OnlineMetaLearner(model or network(batch_norm=True), SGD(0.1), 1)
    learner.compile("sgd", cross_entropy())
    return learner


def continual():
    learner = warptf.ContinualMetaLearner(network(batch_norm=True))
    learner.compile("sgd", cross_entropy())
    return learner


def quantize(model):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Layer .* does not have a `quantize` method")
        model.quantize("int8")


CHANGES = {
    "layer": (lambda m: setattr(m.get_layer("head"), "trainable", False), "layer 'head' of model"),
    "model": (lambda m: setattr(m, "trainable", False), "'body' .*trainable=False.* was True"),
    "norm": (lambda m: setattr(m.get_layer("norm"), "trainable", False), "layer 'norm'"),
    "variable": (lambda m: setattr(m.get_layer("head").bias, "trainable", False), "trains others"),
    "lora": (lambda m: m.get_layer("head").enable_lora(2), "other variables.*enable_lora"),
    "quantized": (lambda m: quantize(m), "other variables.*quantize"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_model_that_was_changed_is_refused_wherever_it_is_used(change, tmp_path):
    """The variables were sorted when the meta-learner was made; none of it goes wrong unsaid."""
    learner, stream = online(), continual()
    make, message = CHANGES[change]
    make(learner.model)
    make(stream.model)
    data = one_batch(TASKS)
    uses = [
        lambda: learner.fit(data),
        lambda: learner.evaluate(data),
        lambda: learner.evaluate_tasks(data),
        lambda: learner.adapt(X, Y),
        lambda: learner.export(tmp_path / "served", tf.TensorSpec([None], tf.int32)),
        lambda: learner.compile("sgd", cross_entropy()),
        lambda: stream.fit(data),
        lambda: stream.evaluate(data),
    ]
    for use in uses:
        with pytest.raises(ValueError, match=message):
            use()
    assert not list(tmp_path.iterdir())


def test_what_is_set_before_the_meta_learner_is_made_holds():
    """Frozen layers stay, and set back all is as it was."""
    model = network(batch_norm=True)
    model.get_layer("body").trainable = False
    learner = online(model)
    frozen = [np.array(v) for v in model.get_layer("body").weights]
    learner.fit(one_batch(TASKS), verbose=0)
    adapted = learner.adapt(X, Y)
    for layer in (model.get_layer("body"), adapted.get_layer("body")):
        for old, new in zip(frozen, layer.weights, strict=True):
            np.testing.assert_array_equal(old, new)
    model.get_layer("head").trainable = False
    model.get_layer("head").trainable = True
    learner.evaluate(one_batch(TASKS), verbose=0)


def test_quantized_models_are_adapted_in_what_is_no_integer_and_adapted_ones_are_quantized():
    model = network()
    quantize(model)
    integers = [np.array(v) for v in model.variables if v.dtype == "int8"]
    assert len(integers) == 2
    adapted = online(model).adapt(X, Y, 3)
    after = [np.array(v) for v in adapted.variables if v.dtype == "int8"]
    for old, new in zip(integers, after, strict=True):
        np.testing.assert_array_equal(old, new)
    assert np.max(np.abs(adapted(X) - model(X))) > 1e-4
    learner = online()
    whole = learner.adapt(X, Y, 3)
    before = np.array(whole(X))
    quantize(whole)
    np.testing.assert_allclose(whole(X), before, atol=0.05 * np.abs(before).max())
    with pytest.raises(ValueError, match=r"learner.adapt\(x, y\).quantize"):
        learner.quantize("int8")


def test_different_strategies_are_refused():
    message = "belong to different tf.distribute strategies.*within one strategy.scope"
    learner, data = online(), one_batch(TASKS)
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with strategy.scope():
        inside = network()
        for use in (learner.fit, learner.evaluate):
            with pytest.raises(ValueError, match=message):
                use(data)
        with pytest.raises(ValueError, match=message):
            online(network_made_outside := learner.model)
        assert network_made_outside is learner.model
    with pytest.raises(ValueError, match=message):
        online(inside)


def test_files_that_could_not_be_loaded_are_refused(tmp_path):
    learner = online()
    for name in ("learner.h5", "learner.hdf5"):
        with pytest.raises(ValueError, match=r"must end in .keras, got .*save_weights"):
            learner.save(tmp_path / name)
    # Keras saves such a kernel with its adapters added, and makes none anew.
    model = network()
    model.get_layer("body").enable_lora(2)
    adapters = online(model)
    with pytest.raises(ValueError, match="another variable .*kernel.*so Keras would load"):
        adapters.save(tmp_path / "adapters.keras")
    assert not list(tmp_path.iterdir())
    learner.save_weights(tmp_path / "learner.weights.h5")
    before = values(learner)
    learner.model.set_weights([w + 1 for w in learner.model.get_weights()])
    learner.load_weights(tmp_path / "learner.weights.h5")
    for old, new in zip(before, values(learner), strict=True):
        np.testing.assert_array_equal(old, new)


class Arguments(keras.Model):
    """Keras cannot make it anew."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def call(self, inputs):
        return self.body(inputs)


def test_a_learner_that_cannot_be_saved_says_so_before_it_learns(tmp_path):
    model = Arguments(network())
    model(X)
    learner = online(model)
    before = values(learner)
    callbacks = [keras.callbacks.ModelCheckpoint(tmp_path / "learner.keras")]
    with pytest.raises(ValueError, match="ModelCheckpoint saves the whole, but.*get_config"):
        learner.fit(one_batch(TASKS), callbacks=callbacks, verbose=0)
    for old, new in zip(before, values(learner), strict=True):
        np.testing.assert_array_equal(old, new)
    callbacks = [
        keras.callbacks.ModelCheckpoint(tmp_path / "learner.weights.h5", save_weights_only=True)
    ]
    with pytest.warns(
        UserWarning, match=r"give its class Arguments a get_config\(\).*save_weights"
    ):
        learner.fit(one_batch(TASKS), callbacks=callbacks, verbose=0)
    with pytest.raises(ValueError, match=r"give its class Arguments a get_config\(\)"):
        learner.save(tmp_path / "learner.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["learner.weights.h5"]


def test_a_designated_model_shows_its_layers(capsys):
    model = network()
    designated = warptf.designate(model, warp="body")
    assert designated.layers == model.layers
    assert designated.get_layer("head") is model.get_layer("head")
    designated.summary()
    assert "head" in capsys.readouterr().out
    with pytest.raises(AttributeError, match="layers"):
        designated.layers = []
    assert designated.count_params() == model.count_params()
