"""Without an objective of its own, a meta-learner follows its model."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from meta_learners.problems import network

import warptf
from warptf.initializations import MAML
from warptf.inner_optimizers import SGD, LearnedSGD
from warptf.objectives import WarpGrad
from warptf.tasks import Task

ALPHA, BETA, START = 0.1, 0.5, 2.0


def line() -> keras.Model:
    """w x, with w = 2."""
    return keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(
                1, use_bias=False, kernel_initializer=keras.initializers.Constant(START)
            ),
        ]
    )


def one_task() -> tf.data.Dataset:
    """The task to be zero at 1: its squared error is w²."""
    x, y = np.ones((1, 1, 1), "float32"), np.zeros((1, 1, 1), "float32")
    return tf.data.Dataset.from_tensors(Task((x, y), (x, y)))


@pytest.mark.parametrize("make", [warptf.OnlineMetaLearner, warptf.WarpMAML])
def test_maml_needs_no_word_of_an_objective(make) -> None:
    """One step w' = w - 2αw; then d(w'²)/dw = 2w'(1 - 2α)."""
    learner = make(line(), SGD(ALPHA), 1, initialization=MAML())
    assert learner.objective is None
    learner.compile(keras.optimizers.SGD(BETA), loss="mse")
    learner.fit(one_task(), verbose=0)
    shrink = 1 - 2 * ALPHA
    expected = START - BETA * 2 * START * shrink * shrink
    np.testing.assert_allclose(learner.model.get_weights()[0], [[expected]], rtol=1e-6)


def test_a_stream_trains_a_model_without_warp_layers() -> None:
    """Gradient descent of w² along the stream: w ← w(1 - 2β)."""
    learner = warptf.ContinualMetaLearner(line())
    assert learner.objective is None
    learner.compile("sgd", loss="mse", task_optimizer=keras.optimizers.SGD(0.1))
    learner.fit(one_task().repeat(3), verbose=0)
    np.testing.assert_allclose(learner.model.get_weights()[0], [[START * 0.8**3]], rtol=1e-6)


def test_what_there_is_to_move_gets_an_objective() -> None:
    made = {
        "online": warptf.OnlineMetaLearner(network(), SGD(0.1), 2),
        "offline": warptf.OfflineMetaLearner(network(), SGD(0.1), 2),
        "rates": warptf.OnlineMetaLearner(line(), LearnedSGD(0.1), 2),
    }
    assert {name: made[name].objective.second_order for name in made} == dict.fromkeys(
        made, "exact"
    )
    assert warptf.ContinualMetaLearner(network()).objective.second_order == "none"


def test_an_objective_of_ones_own_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no warp variables for the objective to move"):
        warptf.WarpMAML(line(), SGD(0.1), 2, objective=WarpGrad())
    with pytest.raises(ValueError, match="no warp variables for the objective to move"):
        warptf.ContinualMetaLearner(line(), objective=WarpGrad("none"))


def test_without_anything_to_learn_it_evaluates_and_refuses_to_train() -> None:
    learner = warptf.OnlineMetaLearner(line(), SGD(ALPHA), 3)
    learner.compile("sgd", loss="mse")
    after = (START * (1 - 2 * ALPHA) ** 3) ** 2
    assert learner.evaluate(one_task(), verbose=0) == pytest.approx(after, rel=1e-5)
    with pytest.raises(ValueError, match=r"nothing to meta-train.*Insert warp layers.*MAML\(\)"):
        learner.fit(one_task(), verbose=0)


def test_offline_says_what_to_use_instead() -> None:
    with pytest.raises(ValueError, match="has no warp variables: use OnlineMetaLearner"):
        warptf.WarpLeap(line(), SGD(0.1), 2)
    assert warptf.WarpLeap(line(), SGD(0.1), 2, algorithm="online").objective is None


def test_what_was_chosen_is_saved(tmp_path) -> None:
    for model in (line(), network()):
        learner = warptf.WarpMAML(model, SGD(0.1), 2)
        learner.save(tmp_path / "learner.keras")
        loaded = keras.models.load_model(tmp_path / "learner.keras")
        assert type(loaded.objective) is type(learner.objective)
