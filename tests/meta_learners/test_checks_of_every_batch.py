"""Bad numbers stop training at the meta-batch that holds them, before it is learned from."""

import functools
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf
from meta_learners.problems import classification_tasks, cross_entropy, network, stream, values

import warptf
from warptf.initializations import Reptile
from warptf.inner_optimizers import SGD
from warptf.tasks import Task

STEPS = 2


def online(**compiling):
    learner = warptf.OnlineMetaLearner(network(), SGD(0.1), STEPS, initialization=Reptile())
    learner.compile("sgd", cross_entropy(), **compiling)
    return learner


def offline():
    learner = warptf.OfflineMetaLearner(network(), SGD(0.1), STEPS)
    learner.compile("sgd", cross_entropy())
    return learner


def continual():
    learner = warptf.ContinualMetaLearner(network(), warp_update_interval=1)
    learner.compile("sgd", cross_entropy())
    return learner


def spoiled(data, number, spoil):
    """The data set with another element in place of one."""

    def one(index, *parts):
        task = Task(*parts) if len(parts) > 1 else parts[0]
        return tf.cond(index == number, lambda: spoil(task), lambda: task)

    return data.enumerate().map(one)


def with_bad(part, index, value):
    """Puts a value into the last place of a leaf of a part."""

    def spoil(task):
        batch = list(getattr(task, part))
        inner = part == "replay"
        pair = list(batch[1]) if inner else batch
        flat = tf.reshape(pair[index], [-1])
        bad = tf.concat([flat[:-1], tf.cast([value], flat.dtype)], 0)
        pair[index] = tf.reshape(bad, pair[index].shape)
        batch = [batch[0], tuple(pair)] if inner else pair
        return task._replace(**{part: tuple(batch)})

    return spoil


NAN = "holds NaN or infinite values: remove or replace them"
CASES = {
    "x of support": (online, {}, ("support", 0, np.nan), f"x of the training tasks' support {NAN}"),
    "x of query": (online, {}, ("query", 0, np.inf), f"x of the training tasks' query {NAN}"),
    "a label": (
        online,
        {"jit_compile": True},
        ("support", 1, 3),
        r"labels of the training tasks' support must lie in 0\.\.2.*from \d to 3",
    ),
    "one compiled task": (
        online,
        {"jit_compile": "tasks"},
        ("query", 1, -1),
        r"labels of the training tasks' query must lie in 0\.\.2.*from -1 to",
    ),
    "several steps at once": (
        online,
        {"steps_per_execution": 3},
        ("support", 0, np.nan),
        f"x of the training tasks' support {NAN}",
    ),
    "replay": (offline, {}, ("replay", 0, np.nan), rf"x of .* replay \(meta\) {NAN}"),
    "stream": (continual, {}, ("query", 0, np.nan), f"x of the training tasks' query {NAN}"),
}


@pytest.mark.parametrize("case", CASES)
def test_training_stops_before_the_bad_batch_is_learned_from(case):
    make, compiling, bad, message = CASES[case]
    steps = None if make is continual else STEPS
    data = stream(4, steps=steps, query_steps=steps, replay=make is offline)
    learner = make(**compiling)
    with pytest.raises(ValueError, match=f"^meta-batch 3: {message}"):
        learner.fit(spoiled(data, 2, with_bad(*bad)), verbose=0)
    # Steps of one execution may be given up together.
    done = int(learner.meta_step.numpy())
    assert done == 2 or (done < 2 and "steps_per_execution" in compiling)
    for a, b in zip(values(learner), after(make, done), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@functools.cache
def after(make, count):
    """The variables of a learner after the first meta-batches."""
    steps = None if make is continual else STEPS
    data = stream(4, steps=steps, query_steps=steps, replay=make is offline)
    learner = make()
    if count:
        learner.fit(data.take(count), verbose=0)
    return values(learner)


def test_replicas_stop_too():
    strategy = tf.distribute.MirroredStrategy(
        ["/cpu:0", "/cpu:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    data = spoiled(stream(3, steps=STEPS), 1, with_bad("query", 0, np.nan))
    with strategy.scope():
        learner = online()
        with pytest.raises(ValueError, match=f"^meta-batch 2: x of .* query {NAN}"):
            learner.fit(data, verbose=0)
    assert int(learner.meta_step.numpy()) == 1


def test_whatever_scores_tasks_looks_at_all_of_them():
    learner = online()
    good = stream(3, steps=STEPS)
    bad = spoiled(good, 1, with_bad("support", 0, np.nan))
    message = f"^meta-batch 2: x of the evaluation tasks' support {NAN}"
    for use in (learner.evaluate, learner.evaluate_tasks, learner.predict_along):
        with pytest.raises(ValueError, match=message):
            use(bad)
    with pytest.raises(ValueError, match=f"^meta-batch 2: x of the validation tasks' .*{NAN}"):
        learner.fit(good, validation_data=bad, verbose=0)
    learner = continual()
    bad = spoiled(stream(3, steps=None), 1, with_bad("support", 0, np.nan))
    with pytest.raises(ValueError, match=message):
        learner.evaluate(bad, verbose=0)


def test_weights_fractions_and_missing_examples_are_refused():
    task = classification_tasks(steps=None)
    (x, y), weights = task.support, np.ones(task.support[1].shape, "float32")
    y[0, 0] = 2
    weights[0, 0] = np.nan
    learner = online()
    cases = {
        f"sample weights of the training tasks' support {NAN}": (x, y, weights),
        "labels of the .* support must be whole numbers, class indices, got 2.5": (x, y + 0.5),
        "x of the .* support holds no examples: give each task at least one": (x[:, :0], y[:, :0]),
    }
    for message, support in cases.items():
        data = tf.data.Dataset.from_tensors(Task(support, task.query))
        with pytest.raises(ValueError, match=message):
            learner.fit(data, verbose=0)
    with pytest.raises(ValueError, match="must be whole numbers"):
        learner.adapt(x[0], y[0] + 0.5)
    # Of a size that is not known before, in a later meta-batch.
    sizes = tf.data.Dataset.from_tensor_slices([5, 0])
    queries = [tf.constant(part) for part in task.query]
    cut = sizes.map(lambda n: Task(task.support, tuple(part[:, :n] for part in queries)))
    with pytest.raises(ValueError, match="^meta-batch 2: x of .* query holds no examples"):
        learner.fit(cut, verbose=0)
    assert int(learner.meta_step.numpy()) == 1


def test_ids_without_a_head_are_refused_in_any_batch():
    learner = warptf.MultiHeadFinetuning(network(warp=False), SGD(0.1), STEPS, num_tasks=2)
    learner.compile("sgd", cross_entropy())
    data = stream(2, ids=True)
    wrong = spoiled(data, 1, lambda task: task._replace(task_id=task.task_id + 1))
    with pytest.raises(ValueError, match=r"^meta-batch 2: task_id must lie in 0\.\.1.*from 1 to 2"):
        learner.fit(wrong, verbose=0)
    assert int(learner.meta_step.numpy()) == 1


SERVED = """
    import numpy as np, sys, tensorflow as tf
    served = tf.saved_model.load(sys.argv[1])
    x, y = np.ones((4, 2), "float32"), np.array([0, 1, 2, 0], "int32")
    nan = np.where(np.arange(8).reshape(4, 2) == 3, np.nan, x).astype("float32")
    cases = {
        "NaN": (nan, y, 2),
        "infinity": (x / 0, y, 2),
        "nothing": (x[:0], y[:0], 2),
        "labels above": (x, y + 1, 2),
        "labels below": (x, y - 1, 2),
        "steps": (x, y, -1),
        "sizes": (x, y[:3], 2),
    }
    before = served.predict(x)["predictions"].numpy()
    served.adapt_and_predict(x, y, x, 0), served.adapt_and_predict(x, y, x, 2)
    for case, (support_x, support_y, steps) in cases.items():
        call = dict(support_x=tf.constant(support_x), support_y=tf.constant(support_y))
        call |= dict(steps=tf.constant(steps))
        for use in (
            lambda: served.adapt(*call.values()),
            lambda: served.adapt_and_predict(*list(call.values())[:2], x, call["steps"]),
            lambda: served.signatures["adapt"](**call),
            lambda: served.signatures["adapt_and_predict"](query_x=tf.constant(x), **call),
        ):
            try:
                use()
            except tf.errors.InvalidArgumentError as error:
                print(case, "|", str(error).replace("\\n", " "))
            else:
                print(case, "| passed")
    assert np.array_equal(served.predict(x)["predictions"].numpy(), before)
    assert not [name for name in sys.modules if name.startswith("warptf")]
"""
REFUSED = {
    "NaN": "support_x of the support set holds NaN or infinite values",
    "infinity": "support_x of the support set holds NaN or infinite values",
    "nothing": "support_x of the support set holds no examples",
    "labels above": "labels of the support set must lie in 0..2, since the model has 3 outputs",
    "labels below": "got labels from -1 to 1",
    "steps": "steps must be at least 0, got -1",
    "sizes": "support_x and support_y must hold the same number of examples, got 4, 3",
}


def test_a_served_learner_refuses_what_it_cannot_learn_from(tmp_path):
    """In a process without this package; what it has learned before stays."""
    learner = online()
    learner.export(tmp_path / "served", tf.TensorSpec([None], tf.int32))
    script = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(SERVED)]
    done = subprocess.run(
        [*script, str(tmp_path / "served")], check=True, capture_output=True, text=True
    )
    lines = [line.partition(" | ") for line in done.stdout.splitlines() if " | " in line]
    assert len(lines) == 4 * len(REFUSED)
    for case, _, words in lines:
        assert REFUSED[case] in words
