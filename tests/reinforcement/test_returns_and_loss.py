"""Returns and actor-critic losses against numbers computed by hand."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from warptf.reinforcement import actor_critic_terms, discounted_returns


def test_returns_by_hand() -> None:
    rewards = [[1.0, 0.0], [0.0, 0.0], [10.0, -1.0]]
    # 1 + 0.9 (0 + 0.9 · 10) = 9.1
    np.testing.assert_allclose(
        discounted_returns(rewards, 0.9), [[9.1, -0.81], [9.0, -0.9], [10.0, -1.0]], rtol=1e-6
    )


@given(
    rewards=st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=20),
    discount=st.floats(0, 1),
)
@settings(max_examples=30, deadline=None)
def test_returns_are_the_discounted_sums(rewards: list[float], discount: float) -> None:
    found = discounted_returns(np.array(rewards)[:, None], discount)
    expected = [
        sum(r * discount**k for k, r in enumerate(rewards[t:])) for t in range(len(rewards))
    ]
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("discount", [-0.1, 1.1, float("nan")])
def test_bad_discounts_are_refused(discount: float) -> None:
    with pytest.raises(ValueError, match="discount must be from 0 to 1"):
        discounted_returns([[1.0]], discount)


LOGITS = np.log([[[0.2, 0.8]], [[0.5, 0.5]]])
VALUES, ACTIONS, RETURNS = [[1.0], [2.0]], [[1], [0]], [[4.0], [1.0]]


def test_terms_by_hand() -> None:
    terms = actor_critic_terms(LOGITS, VALUES, ACTIONS, RETURNS)
    assert float(terms.policy) == pytest.approx((-np.log(0.8) * 3 + np.log(0.5) * 1) / 2)
    assert float(terms.value) == pytest.approx((9 + 1) / 2)
    assert float(terms.concentration) == pytest.approx((0.04 + 0.64 + 0.5) / 2)


def test_gradients_by_hand() -> None:
    logits, values = tf.Variable(LOGITS), tf.Variable(np.array(VALUES))
    with tf.GradientTape(persistent=True) as tape:
        terms = actor_critic_terms(logits, values, ACTIONS, RETURNS)
    # d(-log pi_a A) / d logits = (pi - onehot_a) A, over two steps; the advantage is a constant.
    in_logits = tape.gradient(terms.policy, logits)
    np.testing.assert_allclose(in_logits[0, 0], np.array([0.2, -0.2]) * 3 / 2)
    np.testing.assert_allclose(in_logits[1, 0], np.array([-0.5, 0.5]) * -1 / 2)
    assert tape.gradient(terms.policy, values) is None
    np.testing.assert_allclose(tape.gradient(terms.value, values), [[-3.0], [1.0]])
    # d sum pi² / d logits_i = 2 pi_i (pi_i - sum pi²)
    pi = np.array([0.2, 0.8])
    expected = 2 * pi * (pi - 0.68) / 2
    np.testing.assert_allclose(tape.gradient(terms.concentration, logits)[0, 0], expected)


def test_steps_after_an_episodes_end_count_for_nothing() -> None:
    alone = actor_critic_terms(LOGITS[:1], VALUES[:1], ACTIONS[:1], RETURNS[:1])
    masked = actor_critic_terms(LOGITS, VALUES, ACTIONS, RETURNS, alive=[[1.0], [0.0]])
    np.testing.assert_allclose(alone, masked)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (dict(actions=[[1, 0], [0, 1]]), "actions"),
        (dict(returns=[[1.0]]), "returns"),
        (dict(logits=LOGITS[0]), "logits"),
    ],
)
def test_wrong_shapes_are_refused(change: dict, named: str) -> None:
    given = dict(logits=LOGITS, values=VALUES, actions=ACTIONS, returns=RETURNS) | change
    with pytest.raises(ValueError, match=named):
        actor_critic_terms(**given)
