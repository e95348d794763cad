"""An agent that learns from its own episodes by Algorithm 3."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from reinforcement.cells import CELLS, agent_of
from reinforcement.chain import Chain

import warptf
from warptf.objectives import WarpGrad
from warptf.reinforcement import ActorCritic, RecurrentAgent, RNNCell


def learner_of(name: str = "warp-rnn", jit_compile: bool = False, **kwargs):
    learner = warptf.ContinualMetaLearner(
        agent_of(CELLS[name]()), **{"warp_update_interval": 2, **kwargs}
    )
    learner.compile(
        optimizer=keras.optimizers.Adam(0.01),
        task_optimizer=keras.optimizers.Adam(0.01),
        loss=ActorCritic(Chain(6), episodes=8),
        jit_compile=jit_compile,
    )
    return learner


def fit(learner, count: int, start: int = 0) -> dict:
    data = learner.experience.batches(count, start)
    return learner.fit(data, verbose=0).history


@pytest.mark.few("False")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_an_agent_learns_to_walk_right(jit_compile: bool) -> None:
    learner = learner_of(jit_compile=jit_compile)
    data = learner.experience.batches(4)
    before = learner.evaluate(data, verbose=0, return_dict=True)
    fit(learner, 150)
    after = learner.evaluate(data, verbose=0, return_dict=True)
    # Always right from place 1 on average: 2 + 3 + ... + 7 = 27; at random: 6.
    assert before["reward"] < 15 < 22 < after["reward"] < 30
    assert set(after) == {"loss", "reward", "policy_loss", "value_loss", "concentration"}


def test_batches_are_without_end_unless_counted() -> None:
    """Workers ask one another before each update whether data of a known number have ended."""
    experience = ActorCritic(Chain(6), episodes=3)
    assert experience.batches(start=2).cardinality() == tf.data.INFINITE_CARDINALITY
    counted = experience.batches(2, start=1)
    assert [list(batch) for batch in counted.as_numpy_iterator()] == [[3, 4, 5], [6, 7, 8]]


def test_the_end_of_fit_does_not_wait_for_a_search_for_threads() -> None:
    assert ActorCritic(Chain(6), episodes=8).batches().options().autotune.enabled is False


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    scores = learner_of().evaluate(
        ActorCritic(Chain(6), episodes=8).batches(1), verbose=0, return_dict=True
    )
    weighted = scores["policy_loss"] + 0.1 * scores["value_loss"] + 0.03 * scores["concentration"]
    assert scores["loss"] == pytest.approx(weighted, rel=1e-5)


def test_finite_difference_learns_from_other_episodes_of_the_same_tasks() -> None:
    learner = learner_of(objective=WarpGrad("finite_difference"))
    experience, functional = learner.experience, learner._learner
    theta, phi = functional.initial_theta(), functional.warp_values()
    data, seed = tf.range(8), tf.constant([1, 2])
    support, query = (
        experience.record(functional, theta, phi, data, seed, part) for part in ("support", "query")
    )
    # The same places at the start, other actions.
    np.testing.assert_array_equal(support.observations[0], query.observations[0])
    assert np.any(support.actions != query.actions)
    before = [v.numpy() for v in learner.partition.warp_variables]
    fit(learner, 2)
    after = learner.partition.warp_variables
    assert all(np.any(a != b) for a, b in zip(before, after, strict=True))


def test_the_same_seed_gives_the_same_agent_also_after_a_pause(tmp_path: Path) -> None:
    whole, first = learner_of(), learner_of()
    fit(whole, 5)
    fit(first, 3)
    first.save(tmp_path / "agent.keras")
    second = keras.models.load_model(tmp_path / "agent.keras")
    fit(second, 2, start=3)
    for a, b in zip(whole.weights, second.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    other = learner_of(seed=1)
    fit(other, 5)
    assert any(np.any(a != b) for a, b in zip(whole.weights, other.weights, strict=True))


@pytest.mark.few("none")
@pytest.mark.parametrize("second_order", ["none", "finite_difference"])
def test_two_replicas_do_what_one_does(second_order: str) -> None:
    objective = WarpGrad(second_order)
    one = learner_of(objective=objective)
    fit(one, 4)
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    with strategy.scope():
        two = learner_of(objective=objective)
    fit(two, 4)
    tolerance = 1e-5 if second_order == "none" else 1e-3
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    data = one.experience.batches(2)
    scores = [learner.evaluate(data, verbose=0, return_dict=True) for learner in (one, two)]
    assert scores[0]["reward"] == scores[1]["reward"]


def test_environment_and_agent_must_go_together() -> None:
    learner = warptf.ContinualMetaLearner(RecurrentAgent(RNNCell(4), 3, 2), objective=None)
    experience = ActorCritic(Chain(6), episodes=8)
    learner.compile(loss=experience)
    with pytest.raises(ValueError, match=r"takes 3 numbers .* shows 2"):
        learner.fit(experience.batches(1))
    learner = learner_of()
    with pytest.raises(ValueError, match=r"ActorCritic\.batches"):
        learner.fit(tf.data.Dataset.range(8).batch(4))
    plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    learner = warptf.ContinualMetaLearner(plain, objective=None)
    learner.compile(loss=experience)
    with pytest.raises(TypeError, match="RecurrentAgent"):
        learner.fit(experience.batches(1))
    with pytest.raises(ValueError, match="metrics of its own"):
        learner.compile(loss=experience, metrics=["accuracy"])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (dict(episodes=0), "episodes"),
        (dict(discount=2.0), "discount"),
        (dict(segment_steps=0), "segment"),
    ],
)
def test_bad_numbers_are_refused(arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ActorCritic(Chain(6), **arguments)


def test_an_agent_needs_a_cell() -> None:
    with pytest.raises(TypeError, match="recurrent cell"):
        RecurrentAgent(keras.layers.Dense(2), 2, 2)
    with pytest.raises(ValueError, match="action_count"):
        RecurrentAgent(RNNCell(2), 2, 0)
