"""Environments as users write them."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector.utils import batch_space


class NumPyEnv(gymnasium.Env):
    """Draws by NumPy's own generator, which takes seeds of 32 bits; tells its first draw."""

    observation_space = Box(0, 2**31, (1,), np.float64)
    action_space = Discrete(2)

    def __init__(self, bonus: int = 0) -> None:
        self.bonus = bonus

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        np.random.seed(seed)
        self.generator = np.random.RandomState(seed)
        self.steps = 0
        return np.array([self.generator.randint(1000)], "float64"), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        reward = np.int64(action) + self.bonus
        return np.array([self.generator.randint(1000)]), reward, False, self.steps == 3, {}


class BrokenEnv(NumPyEnv):
    """Does at its second step what it is told to."""

    def __init__(self, breaks: Any) -> None:
        super().__init__()
        self.breaks = breaks

    def step(self, action: Any) -> Any:
        seen, reward, terminated, truncated, info = super().step(action)
        if self.steps == 2:
            seen, reward, terminated = self.breaks(seen, reward)
        return seen, reward, terminated, truncated, info


class SpacesEnv(NumPyEnv):
    """Has the spaces that it is given."""

    def __init__(self, observation: Any = None, action: Any = None) -> None:
        super().__init__()
        self.observation_space = observation or self.observation_space
        self.action_space = action or self.action_space


class OneSeedVectorEnv(gymnasium.vector.VectorEnv):
    """Takes one seed alone, as the base class of vector environments says."""

    num_envs = 2
    single_observation_space = NumPyEnv.observation_space
    single_action_space = NumPyEnv.action_space
    observation_space = batch_space(single_observation_space, 2)
    action_space = batch_space(single_action_space, 2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self.np_random.integers(1000, size=(2, 1)), {}

    def step(self, actions: Any) -> Any:
        self.steps += 1
        # Integers where Gymnasium has truth values.
        over = np.full(2, int(self.steps == 2))
        return np.ones((2, 1)), actions.tolist(), np.zeros(2, int), over, {}
