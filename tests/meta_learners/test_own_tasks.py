"""Tasks of one's own: every way that data sets are written, sizes that differ, labels with names.

The learner is one weight w with predictions w x and squared errors, so that two steps of gradient
descent, their derivative and the query's loss are written out in NumPy.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import warptf
from warptf.meta_learners.task_axes import as_task
from warptf.tasks import Task, padded_tasks

RATE, STEPS, SIZES = 0.1, 2, [(2, 3), (5, 1), (1, 4), (3, 3)]
RANDOM = np.random.default_rng(0)


def one_set(size):
    x = RANDOM.uniform(-1, 1, (size, 1)).astype("float32")
    return x, 3 * x + RANDOM.normal(0, 0.1, (size, 1)).astype("float32")


TASKS = [Task(one_set(support), one_set(query)) for support, query in SIZES]
ALIKE = [Task(one_set(4), one_set(3)) for _ in range(6)]
BATCH = tf.TensorSpec([None, 1]), tf.TensorSpec([None, 1])
SIGNATURE = Task(support=BATCH, query=BATCH)


@pytest.fixture(scope="module")
def learner():
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    result = warptf.OnlineMetaLearner(
        keras.Sequential([keras.Input((1,)), dense]),
        warptf.inner_optimizers.SGD(RATE),
        inner_steps=STEPS,
        objective=None,
        initialization=warptf.initializations.MAML(),
    )
    result.compile(keras.optimizers.SGD(1.0), "mse", weighted_metrics=["mae"])
    return result


def by_hand(task, w=1.0):
    """Loss and absolute error of a task's query set after adaptation, and the meta-gradient."""
    (x, y), (query_x, query_y) = task.support, task.query
    slope = 1.0
    for _ in range(STEPS):
        w, slope = w - RATE * np.mean(2 * (w * x - y) * x), slope * (1 - RATE * np.mean(2 * x * x))
    error = w * query_x - query_y
    return np.mean(error**2), np.mean(np.abs(error)), np.mean(2 * error * query_x) * slope


def generated(tasks, signature=SIGNATURE):
    tasks = list(tasks)
    data = tf.data.Dataset.from_generator(lambda: iter(tasks), output_signature=signature)
    # Without it Keras warns when the data end.
    return data.apply(tf.data.experimental.assert_cardinality(len(tasks)))


def check(learner, data, tasks):
    loss, error, gradient = np.mean([by_hand(task) for task in tasks], axis=0)
    found = learner.evaluate(data, verbose=0)
    np.testing.assert_allclose(found, [loss, error], rtol=1e-4)
    weight = learner.model.trainable_variables[0]
    weight.assign([[1.0]])
    learner.fit(data, verbose=0)
    moved = 1.0 - weight.numpy().item()
    weight.assign([[1.0]])
    assert moved == pytest.approx(gradient, rel=1e-4)


ARRAYS = tf.nest.map_structure(lambda *parts: np.stack(parts), *ALIKE)
slices = tf.data.Dataset.from_tensor_slices
WAYS = {
    "Task as output_signature": lambda: generated(ALIKE).batch(6),
    "tuples": lambda: generated(map(tuple_of, ALIKE), tuple_of(SIGNATURE)).batch(6),
    "dicts": lambda: generated(map(dict_of, ALIKE), dict_of(SIGNATURE)).batch(6),
    "slices": lambda: slices(ARRAYS).batch(6),
    "slices of a tuple": lambda: slices(tuple_of(ARRAYS)).batch(6),
    "zip": lambda: tf.data.Dataset.zip((slices(ARRAYS.support), slices(ARRAYS.query))).batch(6),
    "map to a Task": lambda: slices(tuple_of(ARRAYS)).map(lambda s, q: Task(s, q)).batch(6),
    "map of a Task": lambda: slices(ARRAYS).map(lambda task: task._replace(task_id=None)).batch(6),
    "padded_batch": lambda: generated(ALIKE).padded_batch(6),
    "rebatch": lambda: slices(ARRAYS).batch(2).rebatch(6),
    "unbatch": lambda: slices(ARRAYS).batch(3).unbatch().batch(6),
    "cache, prefetch": lambda: generated(ALIKE).batch(6).cache().prefetch(1),
}  # fmt: skip


def tuple_of(task):
    return task.support, task.query


def dict_of(task):
    return {"support": task.support, "query": task.query}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_write_a_data_set_gives_tasks(way):
    data = WAYS[way]()
    as_task(data.element_spec)
    (found,) = (as_task(element) for element in data)
    assert found.replay is None and found.task_id is None
    for part, expected in zip(tuple_of(found), tuple_of(ARRAYS), strict=True):
        np.testing.assert_array_equal(part[0], expected[0])
        np.testing.assert_array_equal(part[1], expected[1])


def test_a_generator_of_tasks_is_trained_and_scored(learner):
    check(learner, generated(ALIKE).batch(6), ALIKE)


def test_parts_that_are_there_stay_there():
    batch = ARRAYS.support
    task = Task(batch, batch, (batch, batch), np.arange(6))
    for same in (task, task._replace(query=batch), Task(*task), Task(**task._asdict())):
        assert same.task_id is task.task_id and same.replay == (batch, batch)
    (first,) = slices(task).batch(6)
    assert first.task_id.numpy().tolist() == list(range(6))
    assert task._replace(replay=None).replay is None
    spec = tf.TensorSpec([], tf.int64)
    numbered = generated([ALIKE[0]._replace(task_id=7)], SIGNATURE._replace(task_id=spec))
    assert next(iter(numbered)).task_id.numpy() == 7


def test_sizes_may_differ_from_one_meta_batch_to_the_next(learner):
    for task in TASKS:
        check(learner, generated([task]).batch(1), [task])
    loss, error, _ = np.mean([by_hand(task) for task in TASKS], axis=0)
    found = learner.evaluate(generated(TASKS).batch(1), verbose=0)
    np.testing.assert_allclose(found, [loss, error], rtol=1e-4)


@pytest.mark.parametrize(
    "form", [lambda task: task, tuple_of, dict_of], ids=["Task", "tuple", "dict"]
)
def test_sizes_may_differ_within_a_meta_batch(learner, form):
    data = generated(map(form, TASKS), form(SIGNATURE))
    check(learner, padded_tasks(data, 4), TASKS)


def test_given_weights_are_kept(learner):
    def weighted(batch):
        return (*batch, np.linspace(0.5, 2.0, len(batch[0]), dtype="float32"))

    tasks = [Task(weighted(task.support), weighted(task.query)) for task in TASKS]
    spec = (*BATCH, tf.TensorSpec([None]))
    data = generated(tasks, Task(spec, spec))
    together = learner.evaluate(padded_tasks(data, 4), verbose=0)
    np.testing.assert_allclose(together, learner.evaluate(data.batch(1), verbose=0), rtol=1e-5)


def test_what_is_filled_up_repeats_the_last_example():
    (task,) = padded_tasks(generated(TASKS), 4)
    for number, (size, _) in enumerate(SIZES):
        x, _, weights = (part[number].numpy() for part in task.support)
        np.testing.assert_array_equal(x[:size], TASKS[number].support[0])
        np.testing.assert_array_equal(x[size:], np.repeat(x[size - 1 : size], 5 - size, 0))
        np.testing.assert_allclose(weights, [5 / size] * size + [0] * (5 - size), rtol=1e-6)


def test_tasks_that_cannot_be_padded_are_refused():
    with pytest.raises(TypeError, match="`tasks` must be a tf.data.Dataset, received list"):
        padded_tasks([], 2)
    with pytest.raises(ValueError, match="`tasks_per_batch`.*0"):
        padded_tasks(generated(TASKS), 0)
    empty = generated([Task(one_set(0), one_set(2))])
    with pytest.raises(tf.errors.InvalidArgumentError, match="support or query set is empty"):
        list(padded_tasks(empty, 1))


def test_ragged_tasks_are_refused_with_the_remedy(learner):
    ragged = generated(TASKS).ragged_batch(4)
    for call in (learner.fit, learner.evaluate, learner.evaluate_tasks):
        with pytest.raises(TypeError, match="support.*dense.*RaggedTensor.*padded_tasks"):
            call(ragged)
    x = tf.ragged.constant([[1.0], [2.0, 3.0]])
    with pytest.raises(TypeError, match="support set.*RaggedTensor"):
        learner.adapt(x, np.zeros([2, 1], "float32"))


def test_names_of_classes_are_refused_with_the_remedy(learner):
    named = ARRAYS._replace(query=(ARRAYS.query[0], np.full([6, 3], "cat")))
    data = tf.data.Dataset.from_tensors(named)
    for call in (learner.fit, learner.evaluate, learner.evaluate_tasks):
        with pytest.raises(TypeError, match="query.*labels must be numbers.*unique.*StringLookup"):
            call(data)
    x = np.zeros([2, 1], "float32")
    for y in (["cat", "dog"], np.array(["cat", "dog"]), np.array(["cat", "dog"], object)):
        with pytest.raises(TypeError, match="support set: labels must be numbers"):
            learner.adapt(x, y)
