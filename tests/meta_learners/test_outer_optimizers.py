"""A meta-learner's one optimizer is what one optimizer is to a Keras model."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from meta_learners.problems import network, stream, values

import warptf
from warptf.initializations import MAML, Leap
from warptf.inner_optimizers import SGD, LearnedSGD
from warptf.tasks import Task

FILES = Path(__file__).with_name("files")
STEPS, RATE = 2, 0.5


class Shift(warptf.WarpLayer):
    """Adds phi."""

    def build(self, input_shape):
        self.shift = self.add_weight(shape=(1,), initializer="ones", name="shift")

    def call(self, inputs):
        return inputs + self.shift


@keras.saving.register_keras_serializable("tests")
def slope(y, prediction):
    """A loss whose gradients are numbers of the data alone."""
    return keras.ops.mean(y * prediction, axis=-1)


class Halving(keras.optimizers.schedules.LearningRateSchedule):
    """A user's schedule, which cannot be made from a configuration."""

    def __call__(self, step):
        return 0.2 * 0.5 ** keras.ops.cast(step, "float32")


def model(warp=True):
    task = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="task")
    return keras.Sequential([keras.Input((1,)), task, *([Shift(name="warp")] if warp else [])])


def batches(count, seed=0, tasks=1):
    random = np.random.default_rng(seed)
    parts = random.normal(size=(count, 4, tasks, 3, 1)).astype("float32")
    return [Task((x, y), (x_query, y_query)) for x, y, x_query, y_query in parts]


def as_data(tasks):
    present = [(task.support, task.query) for task in tasks]
    stacked = tf.nest.map_structure(lambda *leaves: np.stack(leaves), *present)
    return tf.data.Dataset.from_tensor_slices(stacked).map(Task)


def gradients(task):
    """Those of phi, theta_0 and the learned rate, by hand: f(x) = theta x + phi, L = mean(y f)."""
    (x, y), (x_query, y_query) = task.support, task.query
    of_query = np.mean(x_query * y_query)
    return np.mean(y_query), of_query, -np.mean(x * y) * of_query


def plain(optimizers, *updates):
    """Variables that plain Keras moves.

    Args:
        optimizers: for each time at which variables move, the numbers of these and an optimizer.
        updates: the numbers of optimizers and gradients, one after another.
    """
    variables = [keras.Variable([1.0]), keras.Variable([[1.0]]), keras.Variable(RATE)]
    for number, given in updates:
        chosen, optimizer = optimizers[number]
        pairs = [(tf.fill(variables[i].shape, given[i]), variables[i]) for i in chosen]
        optimizer.apply_gradients(pairs)
    for chosen, optimizer in optimizers:
        optimizer.finalize_variable_values([variables[i] for i in chosen])
    return [float(np.array(v).item()) for v in variables]


def of(learner):
    parts = learner.partition
    rates = (
        learner.inner_optimizer.trainable_variables if hasattr(learner, "initialization") else []
    )
    return [np.array(v).item() for v in (*parts.warp_variables, *parts.task_variables, *rates)]


def learned(cls=warptf.OnlineMetaLearner, **options):
    rule = LearnedSGD(RATE, learn_momentum=False)
    return cls(model(), rule, STEPS, initialization=MAML(), **options)


def all_at_once(excluded=()):
    optimizer = keras.optimizers.AdamW(
        Halving(),
        weight_decay=0.3,
        global_clipnorm=0.5,
        use_ema=True,
        ema_momentum=0.6,
        ema_overwrite_frequency=2,
    )
    optimizer.exclude_from_weight_decay(var_list=list(excluded))
    return optimizer


def test_online_one_optimizer_is_keras_over_all_that_is_learned():
    """Schedule, weight decay with exclusions, one norm over all, averages."""
    tasks, learner = batches(3), learned()
    learner.compile(all_at_once(learner.partition.task_variables), slope)
    learner.fit(as_data(tasks), verbose=0)
    variables = [keras.Variable([1.0]), keras.Variable([[1.0]]), keras.Variable(RATE)]
    keras_own = all_at_once([variables[1]])
    for task in tasks:
        given = [tf.fill(v.shape, g) for v, g in zip(variables, gradients(task), strict=True)]
        keras_own.apply_gradients(zip(given, variables, strict=True))
    keras_own.finalize_variable_values(variables)
    np.testing.assert_allclose(of(learner), [np.array(v).item() for v in variables], rtol=1e-5)
    assert int(learner.optimizer.iterations) == len(tasks)
    for name in ("initialization_optimizer", "rate_optimizer"):
        assert getattr(learner, name) is learner.optimizer


def test_offline_one_optimizer_counts_the_updates_of_phi_and_of_theta_0():
    """phi moves for each of K stored steps, theta_0 once: each by Adam as Adam would alone."""
    tasks, learner = batches(3), learned(warptf.OfflineMetaLearner)
    learner.compile(all_at_once(), slope)
    learner.fit(as_data(tasks), verbose=0)
    updates = []
    for task in tasks:
        updates += [(0, gradients(task))] * STEPS + [(1, gradients(task))]
    expected = plain([([0, 2], all_at_once()), ([1], all_at_once())], *updates)
    np.testing.assert_allclose(of(learner), expected, rtol=1e-5)
    assert int(learner.optimizer.iterations) == STEPS * len(tasks)


def test_continual_one_optimizer_counts_the_steps_of_theta():
    learner = warptf.ContinualMetaLearner(model(), warp_update_interval=2)
    learner.compile(all_at_once(), slope)
    tasks = batches(5)
    learner.fit(as_data(tasks), verbose=0)
    updates, gathered = [], []
    for number, task in enumerate(tasks):
        x, y = task.support
        updates.append((0, [None, np.mean(x * y), None]))
        gathered.append(np.mean(task.query[1]))
        if number % 2:
            updates.append((1, [np.mean(gathered), None, None]))
            gathered = []
    expected = plain([([1], all_at_once()), ([0], all_at_once())], *updates)[:2]
    np.testing.assert_allclose(of(learner), expected, rtol=1e-5)
    assert int(learner.optimizer.iterations) == len(tasks)
    assert learner.task_optimizer is learner.optimizer


def test_one_optimizer_clips_heads_and_body_together():
    learner = warptf.MultiHeadFinetuning(
        keras.Sequential([model(warp=False), keras.layers.Dense(1, use_bias=False)]),
        SGD(0.1),
        1,
        num_tasks=1,
    )
    learner.compile(keras.optimizers.SGD(0.1, global_clipnorm=0.01), slope)
    (task,) = batches(1)
    body, head = (float(np.array(v).item()) for v in learner.partition.task_variables)
    task = task._replace(task_id=np.array([0], "int32"))
    learner.fit(tf.data.Dataset.from_tensors(task), verbose=0)
    x, y = task.support
    given = np.array([np.mean(x * y) * body, np.mean(x * y) * head])
    moved = -0.1 * 0.01 * given / np.linalg.norm(given)
    found = [np.array(learner._heads[0]).item() - head, *[of_body(learner) - body]]
    np.testing.assert_allclose(found, moved, rtol=1e-3)


def of_body(learner):
    return np.array(learner.partition.task_variables[0]).item()


KINDS = {
    "maml": lambda: warptf.OnlineMetaLearner(
        model(warp=False), SGD(0.1), STEPS, objective=None, initialization=MAML()
    ),
    "online": learned,
    "offline": lambda: learned(warptf.OfflineMetaLearner),
    "continual": lambda: warptf.ContinualMetaLearner(model(), warp_update_interval=1),
}


@pytest.mark.parametrize("kind", KINDS)
def test_keras_callbacks_set_the_rate_of_all_that_is_learned(kind):
    learner = KINDS[kind]()
    learner.compile("adam", slope)
    before, seen = of(learner), []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(of(learner)))
    rates = keras.callbacks.LearningRateScheduler(lambda epoch, rate: [0.1, 0.0][epoch])
    history = learner.fit(as_data(batches(2)), epochs=2, callbacks=[rates, watch], verbose=0)
    assert all(a != b for a, b in zip(before, seen[0], strict=True))
    assert seen[0] == seen[1]
    np.testing.assert_allclose(history.history["learning_rate"], [0.1, 0.0], rtol=1e-6)
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
    learner.optimizer.learning_rate = 0.8
    learner.fit(as_data(batches(2)), epochs=3, callbacks=[plateau], verbose=0)
    assert float(learner.optimizer.learning_rate) == pytest.approx(0.2)
    assert all(a != b for a, b in zip(seen[1], of(learner), strict=True))


def test_averages_are_swapped_in_for_validation_and_written_at_the_end():
    learner = learned()
    learner.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), slope)
    tasks, seen = batches(2), {}
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.update(raw=of(learner)))
    scoring = keras.callbacks.Callback()
    scoring.on_test_begin = lambda logs=None: seen.update(scored=of(learner))
    learner.fit(
        as_data(tasks),
        validation_data=as_data(batches(1, 7)),
        callbacks=[keras.callbacks.SwapEMAWeights(), scoring, watch],
        verbose=0,
    )
    raw = np.array([1.0, 1.0, RATE])
    average = raw
    for number, task in enumerate(tasks):
        raw = raw - 0.1 * np.array(gradients(task))
        average = raw if number == 0 else 0.5 * average + 0.5 * raw
    # Keras swaps by adding and taking away.
    np.testing.assert_allclose(seen["scored"], average, rtol=1e-5)
    np.testing.assert_allclose(seen["raw"], raw, rtol=1e-5)
    np.testing.assert_allclose(of(learner), average, rtol=1e-5)


def test_optimizers_of_their_own_write_their_own_averages():
    """Before callbacks are told that training has ended, as Keras does."""
    learner, (task,), ended = learned(), batches(1), []
    learner.compile(
        keras.optimizers.SGD(0.1, use_ema=True),
        slope,
        initialization_optimizer=keras.optimizers.SGD(0.2, use_ema=True, ema_momentum=0.5),
    )
    watch = keras.callbacks.LambdaCallback(on_train_end=lambda logs: ended.append(of(learner)))
    data = as_data([task] * 2)
    learner.fit(data, callbacks=watch, verbose=0)
    phi, theta, rate = gradients(task)
    # After two steps, the averages are those of 0.99 and of 0.5.
    expected = [1 - 0.101 * phi, 1 - 0.3 * theta, RATE - 0.101 * rate]
    np.testing.assert_allclose(of(learner), expected, rtol=1e-5)
    assert ended == [of(learner)]


def test_a_callback_that_would_act_on_an_idle_optimizer_is_refused():
    learner = KINDS["maml"]()
    learner.compile("sgd", slope, initialization_optimizer=keras.optimizers.SGD(0.1))
    rates = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.0)
    with pytest.raises(ValueError, match="LearningRateScheduler.*moves nothing.*give compile one"):
        learner.fit(as_data(batches(1)), callbacks=[rates], verbose=0)
    assert int(learner.meta_step.numpy()) == 0


def test_the_same_object_given_twice_is_one_optimizer_for_both(tmp_path):
    learner, one = learned(), keras.optimizers.Adam(0.1)
    learner.compile(one, slope, initialization_optimizer=one)
    assert learner.initialization_optimizer is learner.optimizer is one
    assert set(learner.get_compile_config()) >= {"optimizer"}
    assert "initialization_optimizer" not in learner.get_compile_config()
    learner.compile("sgd", slope, initialization_optimizer="adam")
    assert learner.initialization_optimizer.name.startswith("adam")
    assert learner.rate_optimizer is learner.optimizer
    learner.compile("sgd", slope)
    assert learner.initialization_optimizer is learner.optimizer


def test_two_replicas_average_as_one_device():
    results = []
    for replicas in (1, 2):
        devices = [f"/cpu:{index}" for index in range(replicas)]
        reduction = tf.distribute.ReductionToOneDevice()
        strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=reduction)
        with strategy.scope():
            learner = warptf.OfflineMetaLearner(
                model(), SGD(0.1), 1, initialization=Leap(), replay_batch_size=2 // replicas
            )
            learner.compile(keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5), slope)
            learner.fit(as_data(batches(2, tasks=2)), verbose=0)
        results.append(of(learner))
    np.testing.assert_allclose(*results, rtol=1e-5)


@pytest.mark.parametrize("kind", ["online", "offline"])
def test_saved_with_one_optimizer_training_continues_to_the_bit(kind, tmp_path):
    learner = KINDS[kind]()
    learner.compile(keras.optimizers.Nadam(0.1, use_ema=True, ema_overwrite_frequency=2), slope)
    learner.fit(as_data(batches(2)), verbose=0)
    learner.save(tmp_path / "learner.keras")
    learner.fit(as_data(batches(2, 1)), verbose=0)
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert loaded.initialization_optimizer is loaded.optimizer
    loaded.fit(as_data(batches(2, 1)), verbose=0)
    assert of(loaded) == of(learner)
    for a, b in zip(learner.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.array(a), np.array(b))


def test_a_file_with_three_optimizers_continues_as_it_would_have():
    """Made by version 0.1.0, where each group had an optimizer, copies of one Adam."""
    learner = keras.models.load_model(FILES / "three_optimizers.keras")
    assert int(learner.initialization_optimizer.iterations) == 2
    assert learner.initialization_optimizer is not learner.optimizer
    learner.fit(stream(2, 2), verbose=0)
    with np.load(FILES / "three_optimizers_continued.npz") as continued:
        for a, b in zip(values(learner), continued.values(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_schedules_that_keras_cannot_save_are_trained_with_and_not_saved(tmp_path):
    plain_model = network()
    plain_model.compile(keras.optimizers.SGD(Halving()), "mse")
    learner = learned()
    learner.compile(keras.optimizers.SGD(Halving()), slope)
    for one in (plain_model, learner):
        with pytest.raises(NotImplementedError):
            one.save(tmp_path / "model.keras")
