"""Two replicas give the variables that one device gives on the same tasks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from meta_learners.problems import classification_tasks, cross_entropy, network, one_batch, stream

import warptf
from warptf.initializations import Leap
from warptf.inner_optimizers import SGD, LearnedSGD
from warptf.meta_learners.task_mapping import map_tasks
from warptf.tasks import Task

TASKS, STEPS = 4, 2


def test_a_scope_can_be_entered_after_a_task_has_failed():
    def fails(task, index):
        raise ValueError("this task fails")

    task = Task((tf.zeros([2, 1]), tf.zeros([2])), (tf.zeros([2, 1]), tf.zeros([2])))
    with pytest.raises(ValueError, match="this task fails"):
        tf.function(lambda: map_tasks(fails, task, tf.TensorSpec(()), 2), autograph=False)()
    strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    with strategy.scope():
        assert tf.distribute.get_strategy() is strategy


def online():
    return warptf.OnlineMetaLearner(
        network(batch_norm=True, dropout=0.3), LearnedSGD(0.1), STEPS, initialization=Leap()
    )


def offline():
    # All that a replica stores at once: then the order of the replays does not matter.
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return warptf.OfflineMetaLearner(
        network(batch_norm=True, dropout=0.3),
        SGD(0.1, momentum=0.5),
        STEPS,
        initialization=Leap(),
        replay_batch_size=TASKS * STEPS // replicas,
        replay_epochs=2,
    )


def finetuning():
    return warptf.MultiHeadFinetuning(network(warp=False), SGD(0.1), STEPS, num_tasks=5)


def continual():
    return warptf.ContinualMetaLearner(network(batch_norm=True), warp_update_interval=3)


def mirrored(count):
    return tf.distribute.MirroredStrategy(
        [f"/cpu:{index}" for index in range(count)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


@pytest.mark.few("online-2", "continual-2")
@pytest.mark.parametrize("replicas", [2, 4])
@pytest.mark.parametrize("make", [online, offline, continual])
def test_twenty_meta_steps_on_replicas_equal_those_on_one_device(make, replicas):
    """To 1e-5 of each variable's largest value, which is what sums in another order leave."""

    def trained():
        learner = make()
        learner.compile(keras.optimizers.SGD(0.05, momentum=0.9), cross_entropy())
        steps = None if make is continual else STEPS
        learner.fit(stream(20, tasks=TASKS, steps=steps), verbose=0)
        return learner

    alone = trained()
    with mirrored(replicas).scope():
        together = trained()
    assert int(together.meta_step.numpy()) == 20
    pairs = zip(alone.weights, alone.get_weights(), together.get_weights(), strict=True)
    for variable, a, b in pairs:
        bound = 1e-5 * max(np.abs(a).max(), 1e-3)
        np.testing.assert_allclose(b, a, rtol=0, atol=bound, err_msg=variable.path)


def train(make, **compiling):
    learner = make()
    learner.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        cross_entropy(),
        ["accuracy"],
        initialization_optimizer=keras.optimizers.Adam(0.01),
        rate_optimizer=keras.optimizers.SGD(0.01),
        **compiling,
    )
    history = learner.fit(stream(2, tasks=TASKS, steps=STEPS, ids=True), verbose=0).history
    scores = None
    if make is online:
        held_out = one_batch(classification_tasks(TASKS, STEPS, ids=True))
        scores = learner.evaluate(held_out, verbose=0, return_dict=True)
    return learner, history, scores


@pytest.mark.few("online-compiling1", "offline-compiling2")
@pytest.mark.parametrize(
    ("make", "compiling"),
    [
        (online, {}),
        (online, {"jit_compile": "tasks", "skip_diverged": True}),
        (offline, {}),
        (finetuning, {}),
    ],
)
def test_two_replicas_equal_one_device(make, compiling):
    alone, history, scores = train(make, **compiling)
    strategy = mirrored(2)
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        together, their_history, their_scores = train(make, **compiling)
    for variable, a, b in zip(
        alone.weights, alone.get_weights(), together.get_weights(), strict=True
    ):
        np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-6, err_msg=variable.path)
    for name, expected in history.items():
        np.testing.assert_allclose(their_history[name], expected, rtol=1e-4, err_msg=name)
    assert scores is None or their_scores == pytest.approx(scores, rel=1e-4)
    assert int(together.meta_step.numpy()) == 2


@pytest.mark.few("1-online", "3-finetuning")
@pytest.mark.parametrize("make", [online, finetuning])
@pytest.mark.parametrize("tasks", [1, 3])
def test_every_task_weighs_the_same_where_replicas_have_unequal_shares(make, tasks):
    def trained():
        learner = make()
        learner.compile("sgd", cross_entropy(), ["accuracy"])
        data = stream(2, tasks=tasks, steps=STEPS, ids=True)
        return learner, learner.fit(data, verbose=0).history["loss"]

    alone, losses = trained()
    strategy = mirrored(2)
    with strategy.scope():
        together, their_losses = trained()
    parts = [[np.array(v) for v in one.model.variables] for one in (alone, together)]
    for a, b in zip(*parts, strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-6)
    if make is online:
        np.testing.assert_allclose(their_losses, losses, rtol=1e-4)


def test_a_meta_batch_that_replicas_cannot_share_is_refused_offline():
    strategy = mirrored(2)
    with strategy.scope():
        learner = warptf.OfflineMetaLearner(network(), SGD(0.1), STEPS)
        learner.compile("sgd", cross_entropy())
    with pytest.raises(ValueError, match=r"divide by the number of replicas.*drop_remainder"):
        learner.fit(stream(1, tasks=3, steps=STEPS), verbose=0)
    assert int(learner.meta_step.numpy()) == 0
