"""Meta-learners in `float16`: losses are scaled through all nested gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conformance.devices import mirrored, policy
from meta_learners.problems import classification_tasks, cross_entropy, network, stream, values

import warptf
from warptf.initializations import MAML, ImplicitMAML
from warptf.inner_optimizers import SGD, LearnedSGD
from warptf.meta_learners import learner_model
from warptf.meta_learners.loss_scales import LossScales
from warptf.objectives import BackpropThroughAdaptation

STEPS = 2
FIRST = 2.0**15
# float16 has eleven bits; some twenty roundings by up to 2^-12.
TOLERANCE = 0.005


class Faint(keras.losses.Loss):
    """Cross-entropy times a factor, so small that its gradients are none in `float16`."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}

    def call(self, y_true, y_pred):
        loss = keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        return self.factor * loss


FACTOR = 1e-7


def online(objective=warptf.objectives.WarpGrad(), initialization=None, rule=SGD):  # noqa: B008
    def make(factor):
        start = initialization(factor) if initialization else None
        return warptf.OnlineMetaLearner(
            network(), rule(0.5 / factor), STEPS, objective=objective, initialization=start
        )

    return make


def maml(factor):
    return MAML()


def implicit_maml(factor):
    return ImplicitMAML(proximal_weight=factor, conjugate_gradient_steps=2, system="exact")


LEARNERS = {
    "exact": online(),
    "first order": online(warptf.objectives.WarpGrad("none")),
    "backpropagated": online(BackpropThroughAdaptation(), maml),
    "learned rates": online(BackpropThroughAdaptation(), maml, LearnedSGD),
    "implicit": online(initialization=implicit_maml),
    "offline": lambda factor: warptf.OfflineMetaLearner(network(), SGD(0.5 / factor), STEPS),
    "continual": lambda factor: warptf.ContinualMetaLearner(network(), warp_update_interval=1),
    "finetuning": lambda factor: warptf.MultiHeadFinetuning(
        network(warp=False), SGD(0.5 / factor), STEPS, num_tasks=2
    ),
}


def compiled(make, factor=FACTOR, **options):
    learner = make(factor)
    rate = 0.1 / factor
    kinds = {"task_optimizer" if hasattr(learner, "experience") else "initialization_optimizer"}
    learner.compile(
        optimizer=keras.optimizers.SGD(rate),
        loss=Faint(factor),
        **{kind: keras.optimizers.SGD(rate) for kind in kinds},
        **options,
    )
    return learner


def data(learner, count=2, start=0):
    steps = None if isinstance(learner, warptf.ContinualMetaLearner) else STEPS
    return stream(count, start, steps=steps, query_steps=steps, ids=True)


def moves(learner, count=2):
    before = [np.array(v) for v in learner.trainable_variables]
    learner.fit(data(learner, count), verbose=0)
    return [np.array(v) - b for v, b in zip(learner.trainable_variables, before, strict=True)]


def apart(found, expected):
    both = [np.concatenate([part.ravel() for part in parts]) for parts in (found, expected)]
    return np.linalg.norm(both[0] - both[1]) / np.linalg.norm(both[1])


def scale_of(learner):
    return learner.loss_scale


@pytest.mark.few("backpropagated", "offline", "continual")
@pytest.mark.parametrize("name", LEARNERS)
def test_gradients_too_small_for_float16_are_those_of_float32(name, monkeypatch):
    make = LEARNERS[name]
    expected = moves(compiled(make))
    with policy("mixed_float16"):
        scaled = compiled(make)
        assert apart(moves(scaled), expected) < TOLERANCE
        assert scale_of(scaled) == FIRST
        monkeypatch.setattr(learner_model, "needs_loss_scaling", lambda model: False)
        assert not apart(moves(compiled(make)), expected) < 0.1


@pytest.mark.few("exact", "learned rates", "finetuning")
@pytest.mark.parametrize("name", LEARNERS)
def test_a_step_that_overflows_moves_nothing_and_halves_the_scale(name):
    make = LEARNERS[name]
    # The gradients of the loss are up to 1 / 5 of 30,000 times 2^15 and half that, and so on.
    factor = 3e4
    expected = moves(compiled(make, factor), 1)
    with policy("mixed_float16"):
        learner = compiled(make, factor)
        before = values(learner.model)
        learner.fit(data(learner, 1), verbose=0)
        assert scale_of(learner) < FIRST
        for a, b in zip(values(learner.model), before, strict=True):
            np.testing.assert_array_equal(a, b)
        assert int(learner.meta_step.numpy()) == 1
        assert int(learner.optimizer.iterations) == 0
        learner.fit(data(learner, 1).repeat(20), verbose=0)
        # At last it is small enough, and the steps are those of float32.
        assert 1.0 <= scale_of(learner) < 8.0
        assert int(learner.meta_step.numpy()) == 21
        again = compiled(make, factor)
        again._loss_scales._scale.assign(scale_of(learner))
        assert apart(moves(again, 1), expected) < TOLERANCE


def test_what_is_reported_leaves_out_steps_that_overflowed():
    with policy("mixed_float16"):
        learner = compiled(LEARNERS["exact"], 3e4)
        history = learner.fit(data(learner, 1).repeat(20), verbose=0).history
        assert np.isfinite(history["loss"][0])
        learner = compiled(LEARNERS["exact"], 3e4)
        history = learner.fit(data(learner, 1), verbose=0).history
        assert np.isnan(history["loss"][0])


def test_gathered_gradients_are_left_out_whole_and_gathering_starts_anew():
    def make(factor):
        return warptf.OnlineMetaLearner(
            network(), SGD(0.5 / factor), STEPS, gradient_accumulation_steps=2
        )

    with policy("mixed_float16"):
        learner = compiled(make, 3e4)
        before = values(learner.model)
        learner.fit(data(learner, 2), verbose=0)
        for a, b in zip(values(learner.model), before, strict=True):
            np.testing.assert_array_equal(a, b)
        assert (scale_of(learner), int(learner.meta_step.numpy())) == (FIRST / 2, 1)
        learner._loss_scales._scale.assign(1.0)
        learner.meta_step.assign(0)
        found = moves(learner)
    assert apart(found, moves(compiled(make, 3e4))) < TOLERANCE


def test_tasks_left_out_as_diverged_lower_the_scale():
    with policy("mixed_float16"):
        learner = compiled(LEARNERS["exact"], 3e4, skip_diverged=True)
        history = learner.fit(data(learner, 1), verbose=0).history
        assert (scale_of(learner), history["diverged"][0]) == (FIRST / 2, 1.0)
        history = learner.fit(data(learner, 1).repeat(20), verbose=0).history
        assert scale_of(learner) < 8.0
        assert np.isfinite(history["loss"][0])
        history = learner.fit(data(learner, 1), verbose=0).history
        assert history["diverged"][0] == 0.0


def test_the_scale_doubles_after_two_thousand_finite_steps():
    def variable(name, shape, dtype, initial):
        return keras.Variable(np.full(shape, initial), dtype=dtype, trainable=False)

    scales = LossScales(variable)
    follow = tf.function(scales.follow)
    yes, no = tf.constant(True), tf.constant(False)
    for _ in range(1999):
        follow(yes)
    follow(no, no)
    assert float(scales.training) == FIRST
    follow(yes)
    assert float(scales.training) == 2 * FIRST
    follow(no)
    assert float(scales.training) == FIRST
    for _ in range(1999):
        follow(yes)
    assert float(scales.training) == FIRST
    follow(yes)
    assert float(scales.training) == 2 * FIRST
    for _ in range(40):
        follow(no)
    assert (float(scales.training), float(scales.scoring)) == (1.0, 1.0)


def test_scale_and_count_are_saved(tmp_path):
    with policy("mixed_float16"):
        learner = compiled(LEARNERS["exact"], 3e3)
        learner.fit(data(learner, 14), verbose=0)
    assert 1.0 < scale_of(learner) < FIRST
    learner.save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras", custom_objects={"Faint": Faint})
    assert scale_of(loaded) == scale_of(learner)
    assert int(loaded._loss_scales._finite_steps.numpy()) > 0
    for one in (learner, loaded):
        one.fit(data(one, 2, 14), verbose=0)
    for a, b in zip(values(learner), values(loaded), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.few("offline", "continual")
@pytest.mark.parametrize("name", ["exact", "offline", "continual", "finetuning"])
def test_what_overflows_on_one_of_two_replicas_is_left_out_on_both(name):
    def tasks(learner):
        steps = None if name == "continual" else STEPS
        task = classification_tasks(2, steps, steps, ids=True)
        # The first task's gradients are finite, the second's not.
        weight = np.ones(task.support[1].shape, "float32")
        weight[1] *= 1e5
        part = (*task.support, weight)
        return tf.data.Dataset.from_tensors(task._replace(support=part, query=part))

    with policy("mixed_float16"), mirrored():
        learner = compiled(LEARNERS[name], 1.0)
        before = values(learner.model)
        learner.fit(tasks(learner), verbose=0)
        assert scale_of(learner) < FIRST
        for a, b in zip(values(learner.model), before, strict=True):
            np.testing.assert_array_equal(a, b)
        learner.fit(data(learner, 20), verbose=0)
        after = values(learner.model)
        assert any(np.max(np.abs(a - b)) > 1e-4 for a, b in zip(after, before, strict=True))


@pytest.mark.few("exact")
@pytest.mark.parametrize("name", ["exact", "continual"])
def test_scaled_losses_compiled_by_xla(name):
    with policy("mixed_float16"):
        plain = moves(compiled(LEARNERS[name]))
        compiled_by_xla = moves(compiled(LEARNERS[name], jit_compile=True))
    assert apart(compiled_by_xla, plain) < TOLERANCE


def test_what_is_adapted_scored_and_exported_is_scaled_too(tmp_path):
    task = classification_tasks(1, None, seed=9)
    x, y = task.support[0][0], task.support[1][0]
    single = compiled(LEARNERS["exact"])
    with policy("mixed_float16"):
        learner = compiled(LEARNERS["exact"])
    tasks = stream(2, steps=STEPS, ids=True)
    expected, found = ([m.evaluate(tasks, verbose=0), m.adapt(x, y)(x)] for m in (single, learner))
    np.testing.assert_allclose(found[0], expected[0], rtol=0.01)
    np.testing.assert_allclose(found[1], expected[1], atol=0.01)
    assert np.max(np.abs(expected[1] - single(x))) > 0.1
    before = single.predict_along(tasks)
    np.testing.assert_allclose(learner.predict_along(tasks), before, atol=0.02)
    assert np.max(np.abs(before[:, -1] - before[:, 0])) > 0.1
    learner.export(tmp_path / "served", tf.TensorSpec([None], tf.int32))
    served = tf.saved_model.load(tmp_path / "served")
    predictions = served.adapt_and_predict(x, y, x, STEPS)["predictions"]
    np.testing.assert_allclose(predictions, found[1], rtol=1e-6, atol=1e-6)


def test_bfloat16_and_pure_float16_are_not_scaled():
    for name in ("float32", "mixed_bfloat16", "float16"):
        with policy(name):
            assert LEARNERS["exact"](1.0).loss_scale is None
    with policy("mixed_float16"):
        assert LEARNERS["exact"](1.0).loss_scale == FIRST


def test_an_optimizer_that_scales_losses_is_refused():
    learner = LEARNERS["exact"](1.0)
    scaling = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match="is a LossScaleOptimizer, but a meta-learner scales"):
        learner.compile(optimizer=scaling, loss=cross_entropy())
