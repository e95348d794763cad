"""Same seed, same result; saved, loaded and continued as if never interrupted."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
from meta_learners.problems import (
    classification_tasks,
    cross_entropy,
    network,
    one_batch,
    stream,
    values,
)

import warptf
from warptf.copying import made_anew
from warptf.initializations import Leap
from warptf.inner_optimizers import SGD, Adam, LearnedSGD, MaskedSGD
from warptf.metrics import MacroF1


class Doubling(warptf.WarpLayer):
    """A user's warp layer, with no registration of its own."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

    def call(self, inputs):
        return 2.0 * self.scale * inputs


@keras.saving.register_keras_serializable("tests")
class SubclassedLearner(keras.Model):
    """A subclassed model, with designated and custom layers below."""

    def __init__(self, hidden, **kwargs):
        super().__init__(**kwargs)
        self.hidden = hidden
        self.body = keras.layers.Dense(hidden, "tanh", name="body")
        self.warp = Doubling(name="warp")
        self.head = keras.layers.Dense(3, name="head")

    def build(self, input_shape):
        self.body.build(input_shape)
        self.warp.build((None, self.hidden))
        self.head.build((None, self.hidden))

    def call(self, inputs):
        return self.head(self.warp(self.body(inputs)))

    def get_config(self):
        return {**super().get_config(), "hidden": self.hidden}


def subclassed():
    model = SubclassedLearner(4, name="subclassed")
    # Built by a call: a model of unknown input shape cannot be adapted.
    model(np.zeros((1, 2), "float32"))
    for i, v in enumerate(model.trainable_variables):
        v.assign(np.random.default_rng(i).normal(0.5, 0.3, v.shape))
    return model


def functional():
    inputs = keras.Input((2,))
    x = keras.layers.Dense(4, "tanh", kernel_initializer=keras.initializers.GlorotUniform(1))(
        inputs
    )
    x = keras.layers.BatchNormalization(momentum=0.5)(Doubling()(x))
    head = keras.layers.Dense(3, kernel_initializer=keras.initializers.GlorotUniform(2))
    return keras.Model(inputs, head(keras.layers.Dropout(0.3, seed=1)(x)))


def interleaved():
    return warptf.interleave(network(warp=False), after=["body"], warp=Doubling)


def designated():
    return warptf.designate(network(warp=False), warp=["body"])


CASES = {
    "online": lambda: warptf.OnlineMetaLearner(
        functional(), SGD(0.1, 0.5), 2, initialization=Leap()
    ),
    "online_learned": lambda: warptf.OnlineMetaLearner(
        interleaved(), LearnedSGD(0.1, granularity="layer"), 2, initialization=Leap()
    ),
    "online_masked": lambda: warptf.OnlineMetaLearner(
        functional(), MaskedSGD(0.1, 0.5), 2, initialization=Leap()
    ),
    "offline": lambda: warptf.OfflineMetaLearner(
        designated(), Adam(0.01), 2, initialization=Leap(), replay_batch_size=2, replay_epochs=2
    ),
    "offline_subclassed": lambda: warptf.OfflineMetaLearner(
        subclassed(), SGD(0.1), 2, warptf.objectives.WarpGrad("none"), initialization=Leap()
    ),
    "finetuning": lambda: warptf.MultiHeadFinetuning(network(warp=False), SGD(0.1), 2, num_tasks=2),
}


def compiled(learner):
    learner.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        cross_entropy(),
        ["accuracy", MacroF1(3)],
        initialization_optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.ExponentialDecay(0.05, 1, 0.5)
        ),
        rate_optimizer=keras.optimizers.RMSprop(0.01),
    )
    return learner


def state(learner):
    """All variables, those of the optimizers too."""
    optimizers = (learner.optimizer, learner.initialization_optimizer, learner.rate_optimizer)
    return values(learner) + [np.array(v) for o in optimizers for v in o.variables]


def data(start, stop):
    return stream(stop - start, start, ids=True)


def assert_equal(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.few("offline", "online_learned", "finetuning")
@pytest.mark.parametrize("case", CASES)
def test_interrupted_training_continues_as_if_it_had_not_been(case, tmp_path):
    learner = compiled(CASES[case]())
    learner.fit(data(0, 2), verbose=0)
    learner.save(tmp_path / "learner.keras")
    learner.fit(data(2, 4), verbose=0)

    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert type(loaded) is type(learner)
    assert int(loaded.meta_step.numpy()) == 2
    with pytest.raises(AssertionError):
        assert_equal(state(loaded), state(learner))
    history = loaded.fit(data(2, 4), verbose=0).history
    assert_equal(state(loaded), state(learner))
    assert int(loaded.meta_step.numpy()) == 4
    assert ("macro_f1" in history) == (case != "finetuning")


def test_the_seed_decides_the_result():
    results = []
    for seed in (0, 0, 1):
        learner = warptf.OnlineMetaLearner(functional(), SGD(0.1), 1, seed=seed)
        compiled(learner).fit(data(0, 2), verbose=0)
        results.append(values(learner))
    assert_equal(results[0], results[1])
    assert any(np.any(a != b) for a, b in zip(results[1], results[2], strict=True))


def test_a_loaded_learner_exports_and_adapts_at_once(tmp_path):
    """It still knows the kind of targets."""
    learner = compiled(CASES["online_learned"]())
    learner.fit(data(0, 1), verbose=0)
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    loaded.export(tmp_path / "served")
    assert (tmp_path / "served" / "saved_model.pb").exists()
    task = classification_tasks(1, None)
    x, y = task.support[0][0], task.support[1][0]
    np.testing.assert_array_equal(loaded.adapt(x, y)(x), learner.adapt(x, y)(x))


@pytest.mark.parametrize(("make", "copies"), [(designated, 0), (subclassed, 1), (functional, 1)])
def test_a_model_is_made_anew_once_to_see_whether_it_can_be_saved(
    make, copies, tmp_path, monkeypatch
):
    """And one without classes of its user not at all: in a cluster, a copy waits for all."""
    made = []

    def counted(model):
        made.append(model)
        return made_anew(model)

    monkeypatch.setattr("warptf.meta_learners.saving.made_anew", counted)
    learner = compiled(warptf.OnlineMetaLearner(make(), SGD(0.1), 1, objective=None))
    for number in range(3):
        learner.model.set_weights([w + 1 for w in learner.model.get_weights()])
        learner.save(tmp_path / f"{number}.keras")
    assert len(made) == copies
    loaded = keras.models.load_model(tmp_path / "2.keras")
    assert_equal(values(loaded), values(learner))


def halved(x):
    return x / 2


def test_a_function_of_the_user_that_loading_would_not_find_is_refused(tmp_path):
    layers = [keras.Input((2,)), keras.layers.Dense(3, activation=halved)]
    learner = compiled(warptf.OnlineMetaLearner(keras.Sequential(layers), SGD(0.1), 1))
    with pytest.raises(ValueError, match="cannot be saved as a .keras file, because .*halved"):
        learner.save(tmp_path / "learner.keras")
    assert not list(tmp_path.iterdir())


def test_an_uncompiled_learner_is_saved_too(tmp_path):
    learner = CASES["online"]()
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert_equal(values(loaded), values(learner))
    with pytest.raises(ValueError, match="compile"):
        loaded.fit(data(0, 1))


def test_weights_alone_are_saved_and_loaded(tmp_path):
    learner = compiled(CASES["offline"]())
    learner.fit(data(0, 1), verbose=0)
    learner.save_weights(tmp_path / "learner.weights.h5")
    other = compiled(CASES["offline"]())
    other.load_weights(tmp_path / "learner.weights.h5")
    assert_equal(state(other), state(learner))


def test_a_fresh_process_loads_and_continues(tmp_path):
    learner = warptf.WarpLeap(network(batch_norm=True), LearnedSGD(0.1), 2)
    compiled(learner).fit(data(0, 1), verbose=0)
    learner.save(tmp_path / "learner.keras")
    script = f"""
        import keras, numpy as np, warptf
        from meta_learners.problems import stream, values
        learner = keras.models.load_model({str(tmp_path / "learner.keras")!r})
        learner.fit(stream(1, 1, ids=True), verbose=0)
        np.savez({str(tmp_path / "continued.npz")!r}, *values(learner))
    """
    environment_path = [p for p in sys.path if p]
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        check=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(environment_path)},
        capture_output=True,
    )
    learner.fit(data(1, 2), verbose=0)
    with np.load(tmp_path / "continued.npz") as continued:
        for a, b in zip(values(learner), continued.values(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_copies_of_the_adapted_model_are_ordinary_models(tmp_path):
    """`adapt` of a subclassed model: predicts, trains on, saves and loads."""
    learner = compiled(CASES["offline_subclassed"]())
    task = classification_tasks(1, None)
    x, y = task.support[0][0], task.support[1][0]
    adapted = learner.adapt(x, y, steps=3)
    assert type(adapted) is SubclassedLearner
    adapted.save(tmp_path / "adapted.keras")
    loaded = keras.models.load_model(tmp_path / "adapted.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), adapted.predict(x, verbose=0))
    before = values(learner)
    adapted.compile("sgd", cross_entropy())
    adapted.fit(x, y, verbose=0)
    assert_equal(values(learner), before)


def test_adapting_by_mini_batches_depends_on_the_seed_alone():
    learner = compiled(CASES["online_learned"]())
    task = classification_tasks(1, None, batch=6)
    x, y = task.support[0][0], task.support[1][0]
    one, same, other = (learner.adapt(x, y, 2, batch_size=2, seed=s)(x) for s in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert np.any(one != other)
    # A mini-batch as large as one example that all are alike of is the whole set.
    alike, labels = np.repeat(x[:1], 6, axis=0), np.repeat(y[:1], 6)
    np.testing.assert_allclose(
        learner.adapt(alike, labels, 2, batch_size=3)(x),
        learner.adapt(alike, labels, 2)(x),
        rtol=1e-5,
    )


def test_adapted_model_equals_the_scores_of_evaluation():
    learner = compiled(CASES["online_learned"]())
    task = classification_tasks(1, None)
    scores = learner.evaluate_tasks(one_batch(task))
    adapted = learner.adapt(task.support[0][0], task.support[1][0])
    loss = cross_entropy()(task.query[1][0], adapted(task.query[0][0]))
    assert float(loss) == pytest.approx(float(scores["loss"][0]), rel=1e-6)
