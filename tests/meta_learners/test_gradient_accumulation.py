"""Meta-batches gathered one after another move a learner as one large meta-batch does."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from meta_learners.problems import cross_entropy, network, stream, values

import warptf
from warptf.initializations import Leap
from warptf.inner_optimizers import LearnedSGD

TASKS, STEPS, META_STEPS = 8, 2, 3


def learner(parts, **compiling):
    made = warptf.OnlineMetaLearner(
        network(batch_norm=True, dropout=0.3),
        LearnedSGD(0.1),
        STEPS,
        initialization=Leap(),
        gradient_accumulation_steps=parts,
    )
    made.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        cross_entropy(),
        ["accuracy"],
        initialization_optimizer=keras.optimizers.Adam(0.01),
        rate_optimizer=keras.optimizers.SGD(0.01),
        **compiling,
    )
    return made


def tasks(parts, meta_steps=META_STEPS, start=0):
    data = stream(meta_steps, start=start, tasks=TASKS, steps=STEPS, ids=True)
    data = data.rebatch(TASKS // parts, drop_remainder=True)
    return data.apply(tf.data.experimental.assert_cardinality(meta_steps * parts))


def mirrored(count):
    return tf.distribute.MirroredStrategy(
        [f"/cpu:{index}" for index in range(count)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


@pytest.mark.parametrize(
    ("parts", "replicas", "compiling"),
    [
        (2, 1, {}),
        (4, 1, {"steps_per_execution": 3}),
        (2, 2, {"skip_diverged": True}),
        (2, 1, {"jit_compile": "tasks"}),
    ],
)
def test_parts_equal_the_whole(parts, replicas, compiling):
    whole = learner(1, **{k: v for k, v in compiling.items() if k != "steps_per_execution"})
    expected = whole.fit(tasks(1), verbose=0).history
    strategy = mirrored(replicas) if replicas > 1 else tf.distribute.get_strategy()
    with strategy.scope():
        gathered = learner(parts, **compiling)
        found = gathered.fit(tasks(parts), verbose=0).history
    for a, b in zip(values(whole.model), values(gathered.model), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)
    rates = zip(whole.inner_optimizer.variables, gathered.inner_optimizer.variables, strict=True)
    for a, b in rates:
        np.testing.assert_allclose(b, a, rtol=1e-5)
    assert set(found) == set(expected)
    for name, series in expected.items():
        np.testing.assert_allclose(found[name], series, rtol=1e-5, err_msg=name)
    assert int(gathered.meta_step.numpy()) == META_STEPS
    assert int(gathered.optimizer.iterations.numpy()) == META_STEPS


def test_one_compiled_step_equals_the_whole():
    """XLA draws other random floats, so without dropout."""

    def trained(parts):
        made = warptf.OnlineMetaLearner(
            network(), LearnedSGD(0.1), STEPS, gradient_accumulation_steps=parts
        )
        made.compile("sgd", cross_entropy(), jit_compile=parts > 1)
        made.fit(tasks(parts), verbose=0)
        return values(made.model)

    for a, b in zip(trained(1), trained(4), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)


def test_nothing_moves_before_all_is_gathered(tmp_path):
    half = learner(2)
    before = values(half.model)
    half.fit(tasks(2).take(1), verbose=0)
    for a, b in zip(before, values(half.model), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(half.meta_step.numpy()) == int(half.optimizer.iterations) == 0


def test_what_is_gathered_is_saved(tmp_path):
    half, whole = learner(2), learner(2)
    half.fit(tasks(2).take(3), verbose=0)
    half.save(tmp_path / "half.keras")
    resumed = keras.models.load_model(tmp_path / "half.keras")
    assert resumed.gradient_accumulation_steps == 2
    resumed.fit(tasks(2).skip(3), verbose=0)
    whole.fit(tasks(2), verbose=0)
    for a, b in zip(values(whole.model), values(resumed.model), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("steps", [0, -1, 1.5, "2"])
def test_a_bad_number_of_steps_is_refused(steps):
    with pytest.raises(ValueError, match=rf"gradient_accumulation_steps must.*got {steps!r}"):
        learner(steps)


def test_an_optimizer_that_accumulates_by_itself_is_refused_on_replicas():
    accumulating = keras.optimizers.SGD(gradient_accumulation_steps=2)
    learner(1).compile(accumulating, cross_entropy())
    with mirrored(2).scope():
        made = learner(1)
        with pytest.raises(ValueError, match=r"gradient_accumulation_steps=2.*OnlineMetaLearner"):
            made.compile(keras.optimizers.SGD(gradient_accumulation_steps=2), cross_entropy())
