"""Every bad input is refused before training, by a message that helps."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from meta_learners.problems import classification_tasks, cross_entropy, network, one_batch

import warptf
from warptf.initializations import Reptile
from warptf.inner_optimizers import SGD, LearnedSGD
from warptf.objectives import WarpGrad
from warptf.tasks import Task

GOOD = classification_tasks(2, 3, 3, replay=True)
X, Y = GOOD.support


def compiled(cls=warptf.OnlineMetaLearner, model=None, **kwargs):
    learner = cls(model or network(), SGD(0.1), 3, **kwargs)
    learner.compile("sgd", cross_entropy(), ["accuracy"])
    return learner


@pytest.fixture(scope="module")
def online():
    return compiled()


@pytest.fixture(scope="module")
def offline():
    return compiled(warptf.OfflineMetaLearner)


def with_nan(part):
    x = part[0].copy()
    x.flat[-1] = np.nan
    return x, part[1]


def labelled(label):
    y = Y.copy()
    y.flat[-1] = label
    return X, y


BAD_TASKS = {
    "features": (
        {"support": (X[..., :1], Y)},
        r"support of the training.*\(None, 2\).*\(2, 3, 5, 1\)",
    ),
    "no task axis": ({"support": (X[0, 0], Y[0, 0])}, r"\[T, B, \.\.\.\].*\(5, 2\)"),
    "an axis too many": ({"query": (X[None], Y[None])}, r"query.*\(1, 2, 3, 5, 2\)"),
    "labels without batch": ({"query": (X, Y[..., 0])}, r"query.*x and y must agree.*\(2, 3\)"),
    "labels of other steps": ({"query": (X, Y[:, :2])}, r"must agree.*\(2, 2, 5\)"),
    "few steps": ({"support": (X[:, :2], Y[:, :2])}, "2 steps, but 3 .*lower inner_steps"),
    "few query steps": ({"query": (X[:, :2], Y[:, :2])}, "query.*2 steps, but 3"),
    "few replays": (
        {"replay": (GOOD.replay[0], (X[:, :2], Y[:, :2]))},
        r"replay \(meta\) of.*2 steps",
    ),
    "other tasks": ({"query": (X[:1], Y[:1])}, "same number T.*'support': 2, 'query': 1"),
    "other ids": ({"task_id": np.arange(3)}, "same number T.*'task_id': 3"),
    "ids without axis": ({"task_id": np.array(1)}, r"task_id.*\[T\], got shape \(\)"),
    "NaN in support": (
        {"support": with_nan(GOOD.support)},
        "x of the training tasks' support.*NaN",
    ),
    "NaN in query": ({"query": with_nan(GOOD.query)}, "x of the training tasks' query.*NaN"),
    "NaN in replay": (
        {"replay": (GOOD.replay[0], with_nan(GOOD.replay[1]))},
        "x of .* replay.*NaN",
    ),
    "labels above": ({"support": labelled(3)}, r"labels .*support must lie in 0\.\.2.*from 0 to 3"),
    "labels below": ({"query": labelled(-1)}, r"labels .*query must lie in 0\.\.2.*from -1"),
}


@pytest.mark.parametrize("case", BAD_TASKS)
def test_bad_tasks_are_refused_before_training(offline, case):
    change, message = BAD_TASKS[case]
    with pytest.raises(ValueError, match=message):
        offline.fit(one_batch(GOOD._replace(**change)), verbose=0)
    assert int(offline.meta_step.numpy()) == 0
    with pytest.raises(ValueError, match="validation"):
        bad = one_batch(GOOD._replace(**{"support": with_nan(GOOD.support)}))
        offline.fit(one_batch(GOOD), validation_data=bad, verbose=0)
    assert int(offline.meta_step.numpy()) == 0


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        tf.data.Dataset.from_tensors((X[0, 0], Y[0, 0])),
        tf.data.Dataset.from_tensors({"support": X}),
        tf.data.Dataset.from_tensors((GOOD.support, None)),
        tf.data.Dataset.from_tensors(X),
        None,
    ],
    ids=["arrays", "examples", "dictionary", "no query", "tensor", "nothing"],
)
def test_data_that_are_no_tasks_are_refused(online, data):
    for use in (online.fit, online.evaluate, online.evaluate_tasks):
        with pytest.raises(TypeError, match=r"warptf\.tasks\.Task.*got"):
            use(data)


@pytest.mark.parametrize("argument", ["class_weight", "sample_weight"])
def test_weights_come_with_the_tasks(online, argument):
    for use in (online.fit, online.evaluate):
        with pytest.raises(ValueError, match=rf"{argument}: tasks bring .* leave {argument} out"):
            use(one_batch(GOOD), **{argument: {0: 1.0}})


def test_an_empty_data_set_is_refused(online):
    held_out = Task(GOOD.support, (X[:, 0], Y[:, 0]))
    for use in (online.fit, online.evaluate, online.evaluate_tasks):
        with pytest.raises(ValueError, match="data set is empty.*at least one meta-batch"):
            use(one_batch(held_out).take(0))


def test_shapes_that_are_not_known_are_refused(online):
    data = tf.data.Dataset.from_generator(lambda: [((X, Y), (X, Y))], ((tf.float32, tf.int32),) * 2)
    with pytest.raises(ValueError, match="does not say the shapes.*output_signature"):
        online.fit(data)


def test_evaluation_wants_all_held_out_data_at_once(online):
    with pytest.raises(ValueError, match=r"query of the evaluation tasks.*\[T, Q, \.\.\.\]"):
        online.evaluate(one_batch(GOOD))


def test_evaluation_with_more_steps_than_there_are_batches_is_refused(online):
    held_out = Task(GOOD.support, (X[:, 0], Y[:, 0]))
    with pytest.raises(ValueError, match="3 steps, but 4 .*evaluation_steps"):
        online.evaluate_tasks(one_batch(held_out), steps=4)


ADAPT = {
    "features": ((X[0, 0][:, :1], Y[0, 0]), {}, r"x must be .*\(None, 2\), got shape \(5, 1\)"),
    "steps axis": ((X[0], Y[0]), {}, r"x must be .*got shape \(3, 5, 2\)"),
    "one example": ((X[0, 0, 0], Y[0, 0, 0]), {}, r"got shape \(2,\)"),
    "other number": ((X[0, 0], Y[0, 0, :3]), {}, r"same number.*\(5, 2\) and \(3,\)"),
    "no examples": ((X[0, 0, :0], Y[0, 0, :0]), {}, "at least one"),
    "NaN": (with_nan((X[0, 0], Y[0, 0])), {}, "x of the support set holds NaN"),
    "label": ((X[0, 0], Y[0, 0] + 3), {}, r"labels of the support set must lie in 0\.\.2"),
    "steps": ((X[0, 0], Y[0, 0]), {"steps": 0}, "steps must be .* at least 1, got 0"),
    "half a step": ((X[0, 0], Y[0, 0]), {"steps": 1.5}, "steps must be .* got 1.5"),
    "batch size": ((X[0, 0], Y[0, 0]), {"batch_size": -1}, "batch_size must be .* got -1"),
}


@pytest.mark.parametrize("case", ADAPT)
def test_bad_support_sets_are_refused(online, case):
    arguments, options, message = ADAPT[case]
    with pytest.raises(ValueError, match=message):
        online.adapt(*arguments, **options)


CONSTRUCTION = {
    "inner_steps 0": ({"inner_steps": 0}, ValueError, "inner_steps must be .* got 0"),
    "inner_steps text": ({"inner_steps": "many"}, ValueError, "inner_steps must be .* got 'many'"),
    "inner_steps none": ({"inner_steps": None}, ValueError, "inner_steps must be .* got None"),
    "evaluation_steps": (
        {"evaluation_steps": -1},
        ValueError,
        "evaluation_steps must be .* got -1",
    ),
    "model": ({"model": "resnet"}, TypeError, "model must be a Model, got 'resnet'"),
    "inner optimizer": (
        {"inner_optimizer": keras.optimizers.SGD()},
        TypeError,
        "inner_optimizer must be a InnerOptimizer",
    ),
    "objective": ({"objective": "exact"}, TypeError, "objective must be .*got 'exact'"),
    "initialization": ({"initialization": "leap"}, TypeError, "initialization must be .*'leap'"),
    "unbuilt": ({"model": keras.Sequential([keras.layers.Dense(2)])}, ValueError, "is not built"),
    "no warp": (
        {"model": network(warp=False), "objective": WarpGrad()},
        ValueError,
        "no warp variables.*leave the objective out",
    ),
    "no task": (
        {"model": keras.Sequential([keras.Input((2,)), warptf.layers.WarpDense(2)])},
        ValueError,
        "no task variables",
    ),
}


@pytest.mark.parametrize("case", CONSTRUCTION)
def test_bad_arguments_are_refused(case):
    change, error, message = CONSTRUCTION[case]
    arguments = {"model": network(), "inner_optimizer": SGD(0.1), "inner_steps": 3, **change}
    with pytest.raises(error, match=message):
        warptf.OnlineMetaLearner(**arguments)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"model": network(warp=False)}, "has no warp variables: use OnlineMetaLearner"),
        ({"objective": None}, "objective=None: use OnlineMetaLearner"),
        ({"replay_batch_size": 0}, "replay_batch_size must be .* got 0"),
        ({"replay_batch_size": 1.5}, "replay_batch_size must be .* got 1.5"),
        ({"replay_epochs": 0}, "replay_epochs must be .* got 0"),
        ({"replay_storage": "tape"}, "replay_storage must be one of .*'disk'.* got 'tape'"),
    ],
)
def test_bad_arguments_of_the_offline_algorithm_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        warptf.OfflineMetaLearner(
            **{"model": network(), "inner_optimizer": SGD(0.1), "inner_steps": 3, **change}
        )


def test_a_replay_batch_that_does_not_divide_the_buffer_is_refused():
    learner = compiled(warptf.OfflineMetaLearner, replay_batch_size=4)
    with pytest.raises(ValueError, match="replay_batch_size=4 must divide the 6 steps"):
        learner.fit(one_batch(GOOD), verbose=0)
    assert int(learner.meta_step.numpy()) == 0


def test_batches_of_unknown_size_are_refused_offline(offline):
    pairs = tf.data.Dataset.from_tensor_slices((GOOD.support, GOOD.query)).batch(2)
    with pytest.raises(ValueError, match=r"unknown size: use batch\(T, drop_remainder=True\)"):
        offline.fit(pairs, verbose=0)


@pytest.mark.parametrize("jit_compile", [True, "tasks"])
def test_files_do_not_go_with_xla(jit_compile):
    learner = warptf.OfflineMetaLearner(network(), SGD(0.1), 3, replay_storage="disk")
    learner.compile("sgd", cross_entropy(), jit_compile=jit_compile)
    with pytest.raises(ValueError, match='replay_storage="disk" does not go with jit_compile'):
        learner.fit(one_batch(GOOD), verbose=0)


def test_unknown_algorithm_is_refused():
    with pytest.raises(
        ValueError, match=r"algorithm must be one of \['offline', 'online'\], got 'on'"
    ):
        warptf.WarpLeap(network(), SGD(0.1), 3, algorithm="on")


def test_nothing_to_learn_is_refused():
    learner = compiled(objective=None)
    with pytest.raises(ValueError, match="nothing to meta-train.*objective is None"):
        learner.fit(one_batch(GOOD))


def test_before_compile_everything_is_refused():
    learner = warptf.OnlineMetaLearner(network(), SGD(0.1), 3)
    for use in (learner.fit, learner.evaluate, learner.evaluate_tasks):
        with pytest.raises(ValueError, match="compile the meta-learner before"):
            use(one_batch(GOOD))
    with pytest.raises(ValueError, match="compile the meta-learner before adapt"):
        learner.adapt(X[0, 0], Y[0, 0])


SHARED = keras.optimizers.SGD(0.1)
COMPILING = {
    "no loss": ({"loss": None}, ValueError, "loss must be a Keras loss.*got None"),
    "a metric called loss": (
        {"metrics": [keras.metrics.Mean(name="loss")]},
        ValueError,
        'metrics must not be named "loss"',
    ),
    "no list of metrics": (
        {"metrics": "accuracy"},
        TypeError,
        "must be a list or dict.*got 'accuracy'",
    ),
    "unknown metric": ({"metrics": ["speed"]}, ValueError, "metrics must be .*got 'speed'"),
    "no metric": ({"metrics": [3]}, ValueError, "metrics must be .*got 3"),
    "unknown part to compile": (
        {"jit_compile": "everything"},
        ValueError,
        "jit_compile must be True, False or \"tasks\", got 'everything'",
    ),
    "one optimizer for two": (
        {"initialization_optimizer": SHARED, "rate_optimizer": SHARED},
        ValueError,
        "must be different objects: make one instance for each",
    ),
}


@pytest.mark.parametrize("case", COMPILING)
def test_bad_arguments_of_compile_are_refused(case):
    change, error, message = COMPILING[case]
    learner = warptf.OnlineMetaLearner(network(), SGD(0.1), 3, initialization=Reptile())
    with pytest.raises(error, match=message):
        learner.compile(**{"optimizer": "sgd", "loss": "mse", **change})


WORDS = np.full((2, 3, 5, 2), "cat")
TAKES_WORDS = keras.Sequential(
    [
        keras.Input((1,), dtype="string"),
        keras.layers.StringLookup(vocabulary=["cat", "dog"]),
        keras.layers.Embedding(3, 2),
        keras.layers.Flatten(),
        keras.layers.Dense(3),
    ]
)
BACKBONE = warptf.models.backbone_learner(
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)]), 3, input_shape=(8, 8, 3)
)
IMAGES = np.full((2, 3, 5, 8, 8, 3), 255, "uint8")
KINDS = {
    "words for numbers": (network, WORDS, r"x must hold numbers.*is float32, got strings.*String"),
    "numbers for words": (lambda: TAKES_WORDS, X[..., :1], "x must hold strings.*got float32"),
    "bytes for [0, 1]": (
        lambda: BACKBONE,
        IMAGES,
        r"x must be images in \[0, 1\].*uint8.*astype..float32.. / 255",
    ),
}


@pytest.mark.parametrize("case", KINDS)
def test_inputs_of_another_kind_are_refused_before_training(case):
    make, x, message = KINDS[case]
    learner = compiled(model=make(), objective=None, initialization=Reptile())
    task = Task((x, Y), (x[:, 0], Y[:, 0]))
    for use in (learner.fit, learner.evaluate, learner.evaluate_tasks):
        with pytest.raises(TypeError, match=f"support of the .* tasks: {message}"):
            use(one_batch(task))
    with pytest.raises(TypeError, match=f"the support set: {message}"):
        learner.adapt(x[0, 0], Y[0, 0])
    stream = warptf.ContinualMetaLearner(make(), None)
    stream.compile("sgd", cross_entropy())
    part = (x[:, 0], Y[:, 0])
    with pytest.raises(TypeError, match=f"support of the training tasks: {message}"):
        stream.fit(one_batch(Task(part, part)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: warptf.OnlineMetaLearner(network(), SGD(0.1), 1),
        lambda: warptf.ContinualMetaLearner(network()),
    ],
)
def test_losses_are_scaled_by_the_meta_learner_itself(make):
    learner = make()
    with pytest.raises(ValueError, match="auto_scale_loss: got False, .*leave it out"):
        learner.compile("sgd", cross_entropy(), auto_scale_loss=False)


def test_data_without_end_need_a_number_of_steps(online):
    endless, finite = one_batch(GOOD).repeat(), one_batch(GOOD)
    with pytest.raises(ValueError, match="training data .*no end .*pass steps_per_epoch"):
        online.fit(endless, verbose=0)
    with pytest.raises(ValueError, match="validation data .*no end .*pass validation_steps"):
        online.fit(finite, validation_data=endless, verbose=0)
    held_out = one_batch(classification_tasks(2, 3)).repeat()
    with pytest.raises(ValueError, match="evaluation data .*no end .*pass steps"):
        online.evaluate(held_out, verbose=0)
    with pytest.raises(ValueError, match="no end: pass data.take"):
        online.evaluate_tasks(held_out)
    online.fit(endless, steps_per_epoch=1, verbose=0)


def test_learned_rates_without_an_objective_are_refused():
    learner = warptf.OnlineMetaLearner(
        network(), LearnedSGD(0.1), 3, objective=None, initialization=Reptile()
    )
    learner.compile("sgd", cross_entropy())
    with pytest.raises(ValueError, match="LearnedSGD has values to learn, but objective is None"):
        learner.fit(one_batch(GOOD), verbose=0)
