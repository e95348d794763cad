"""Joint training of a body and a head for each task, against algebra written out."""

import keras
import numpy as np
import pytest
from meta_learners.problems import batch_of, one_batch, scalar_tasks

import warptf
from warptf.inner_optimizers import SGD, LearnedSGD

BODY, HEAD, STEPS, BETA, GAMMA = 0.7, 1.3, 3, 0.2, 0.05


def build(num_tasks=4, inner=None):
    constant = keras.initializers.Constant
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, use_bias=False, kernel_initializer=constant(BODY), name="body"),
            keras.layers.Dense(1, use_bias=False, kernel_initializer=constant(HEAD), name="out"),
        ]
    )
    learner = warptf.MultiHeadFinetuning(model, inner or SGD(0.1), STEPS, num_tasks=num_tasks)
    learner.compile(
        keras.optimizers.SGD(BETA),
        "mse",
        initialization_optimizer=keras.optimizers.SGD(GAMMA),
    )
    return model, learner


def by_hand(task, ids, num_tasks=4):
    body, heads, losses = BODY, np.full(num_tasks, HEAD), []
    for k in range(STEPS):
        body_gradients, head_gradients = [], [[] for _ in heads]
        for t, own in enumerate(ids):
            x, y = batch_of(task.support, t, k)
            error = heads[own] * body * x - y
            losses.append(np.mean(error**2))
            body_gradients.append(np.mean(2 * error * heads[own] * x))
            head_gradients[own].append(np.mean(2 * error * body * x))
        body = body - GAMMA * np.mean(body_gradients)
        heads = heads - BETA * np.array([np.mean(g) if g else 0.0 for g in head_gradients])
    return body, heads, np.mean(losses)


# Heads out of order, one that has no task, and one that two tasks share.
@pytest.mark.parametrize("ids", [[2, 0], [3, 3]])
def test_body_moves_by_the_mean_and_heads_by_their_own_tasks(ids):
    task = scalar_tasks(2, STEPS)._replace(task_id=np.array(ids, "int32"))
    model, learner = build(inner=LearnedSGD(0.1))
    history = learner.fit(one_batch(task), verbose=0)
    body, heads, loss = by_hand(task, ids)
    assert model.get_layer("body").kernel.numpy().item() == pytest.approx(body, rel=1e-6)
    np.testing.assert_allclose(learner._heads[0].numpy().ravel(), heads, rtol=1e-6)
    assert history.history["loss"][0] == pytest.approx(loss, rel=1e-5)
    # A new task starts from the head that the model came with.
    assert model.get_layer("out").kernel.numpy().item() == pytest.approx(HEAD, rel=1e-7)
    assert int(learner.meta_step.numpy()) == 1


def test_fine_tuning_starts_from_the_learned_body_and_the_fresh_head():
    task = scalar_tasks(2, STEPS)._replace(task_id=np.array([0, 1], "int32"))
    model, learner = build()
    learner.fit(one_batch(task), verbose=0)
    body, head = model.get_layer("body").kernel.numpy().item(), HEAD
    x, y = batch_of(task.support, 0, 0)
    adapted = learner.adapt(x.astype("float32"), y.astype("float32"))
    for _ in range(STEPS):
        error = head * body * x - y
        body, head = (
            body - 0.1 * np.mean(2 * error * head * x),
            head - 0.1 * np.mean(2 * error * body * x),
        )
    np.testing.assert_allclose(adapted(x).numpy(), head * body * x, rtol=1e-5)


@pytest.mark.parametrize("head", ["out", "body"])
def test_any_layer_can_be_the_head(head):
    model, _ = build()
    learner = warptf.MultiHeadFinetuning(model, SGD(0.1), STEPS, num_tasks=2, head=head)
    assert [tuple(h.shape) for h in learner._heads] == [(2, 1, 1)]
    start = BODY if head == "body" else HEAD
    np.testing.assert_allclose(learner._heads[0].numpy().ravel(), [start] * 2)


def test_unknown_head_is_refused_with_the_names_there_are():
    model, _ = build()
    with pytest.raises(ValueError, match=r"no layer 'nose'.*\['body', 'out'\]"):
        warptf.MultiHeadFinetuning(model, SGD(0.1), 2, num_tasks=2, head="nose")


def test_missing_ids_are_refused_before_training():
    _, learner = build()
    with pytest.raises(ValueError, match="no task_id.*yield Task"):
        learner.fit(one_batch(scalar_tasks(2, STEPS)), verbose=0)
    assert int(learner.meta_step.numpy()) == 0


@pytest.mark.parametrize("ids", [[0, 4], [-1, 0]])
def test_ids_without_a_head_are_refused_before_training(ids):
    _, learner = build()
    task = scalar_tasks(2, STEPS)._replace(task_id=np.array(ids, "int32"))
    with pytest.raises(ValueError, match=r"task_id must lie in 0\.\.3.*num_tasks=4"):
        learner.fit(one_batch(task), verbose=0)


@pytest.mark.parametrize("count", [0, 1.5])
def test_a_bad_number_of_tasks_is_refused(count):
    model, _ = build()
    with pytest.raises(ValueError, match=f"num_tasks .*got {count}"):
        warptf.MultiHeadFinetuning(model, SGD(0.1), 2, num_tasks=count)


def test_warp_layers_are_refused():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2), warptf.layers.WarpDense(2)])
    with pytest.raises(ValueError, match="without warp layers"):
        warptf.MultiHeadFinetuning(model, SGD(0.1), 2, num_tasks=2)
