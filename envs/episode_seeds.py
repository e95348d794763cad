"""Which two integers each episode of an environment is drawn from."""

import numpy as np

# TensorFlow's seeds are 64-bit integers with a sign; Gymnasium's have no bound.
_SEEDS = 2**63


class EpisodeSeeds:
    """Seeds `(s + i, n)` for episode `n`, counted since `reset` was given `s`, of environment `i`.

    So a vector environment with seed `s` has the episodes of single ones with seeds `s`, `s + 1`
    and so on, as Gymnasium's own do.

    Args:
        count: The number of environments.

    >>> seeds = EpisodeSeeds(2)
    >>> generator = np.random.default_rng(0)
    >>> seeds.following(7, generator).tolist(), seeds.following(None, generator).tolist()
    ([[7, 0], [8, 0]], [[7, 1], [8, 1]])
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._seed: int | None = None
        self._episode = 0

    def following(self, seed: int | None, generator: np.random.Generator) -> np.ndarray:
        """Returns the seeds `[count, 2]` of the episodes that start now.

        Args:
            seed: The seed that `reset` was given, or `None` to go on from the last.
            generator: Draws a seed where there has been none.
        """
        if seed is None and self._seed is None:
            seed = int(generator.integers(_SEEDS - 1))
        if seed is None:
            self._episode += 1
        else:
            self._seed, self._episode = int(seed), 0
        assert self._seed is not None
        return np.array([[(self._seed + i) % _SEEDS, self._episode] for i in range(self._count)])
