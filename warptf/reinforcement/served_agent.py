"""SavedModels of agents, that act without this package."""

from typing import Any

import tensorflow as tf

from warptf.export import constants, save_whole
from warptf.partition import FunctionalLearner
from warptf.reinforcement.rollout import advance
from warptf.resources import resources


class ServedAgent(tf.Module):
    """An agent as a module of compiled functions and its own variables.

    Args:
        learner: the functional view of a `RecurrentAgent`.
    """

    def __init__(self, learner: FunctionalLearner) -> None:
        super().__init__(name="served_agent")
        self._learner, agent = learner, learner.model
        self._theta = constants(learner.initial_theta(), "theta")
        self._phi = constants(learner.warp_values(), "phi")
        self._state = constants(learner.initial_state(tf.constant([0, 0])), "state")
        self._resources = resources(agent)
        states = agent.initial_states(1)
        specs = [
            tf.TensorSpec((None, *state.shape[1:]), state.dtype, name=f"state_{index}")
            for index, state in enumerate(states)
        ]
        observation = tf.TensorSpec((None, agent.observation_size), tf.float32, name="observation")
        self.act = tf.function(self._act, input_signature=[observation, *specs], autograph=False)
        episodes = tf.TensorSpec((), tf.int32, name="episodes")
        self.start = tf.function(self._start, input_signature=[episodes], autograph=False)

    def _start(self, episodes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the states in which episodes start."""
        return _named(self._learner.model.initial_states(episodes))

    def _act(self, observation: tf.Tensor, *states: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the policy, the value and the states after an observation."""
        learner = self._learner
        theta, phi, state = (
            [tf.convert_to_tensor(v) for v in values]
            for values in (self._theta, self._phi, self._state)
        )
        with learner.scope(theta, phi, state):
            after, output, _ = advance(learner.model, observation, list(states))
            logits, value = learner.model.heads(output)
        action = tf.argmax(logits, axis=-1, output_type=tf.int32)
        return {"logits": logits, "value": value, "action": action, **_named(after)}


def export_agent(learner: FunctionalLearner, path: Any, **kwargs: Any) -> None:
    """Writes an agent as a SavedModel, whole or not at all.

    Args:
        learner: the functional view of a `RecurrentAgent`.
        path: folder to write.
        **kwargs: options of `tf.saved_model.save`.

    Raises:
        FileExistsError: the folder is there and holds something.
        OSError: it cannot be written.
    """
    served = ServedAgent(learner)
    save_whole(served, path, {"start": served.start, "act": served.act}, **kwargs)


def _named(states: list[tf.Tensor]) -> dict[str, tf.Tensor]:
    return {f"state_{index}": state for index, state in enumerate(states)}
