"""Which two integers each episode of an environment is drawn from."""

from collections.abc import Sequence

import numpy as np

# TensorFlow's seeds are 64-bit integers with a sign; Gymnasium's have no bound.
_SEEDS = 2**63

Seed = int | Sequence[int | None] | None


class EpisodeSeeds:
    """Seeds `(s + i, n)` for episode `n`, counted since `reset` was given `s`, of environment `i`.

    So a vector environment with seed `s` has the episodes of single ones with seeds `s`, `s + 1`
    and so on, as Gymnasium's own do; and one with seeds `[s_0, s_1, ...]` those of single ones
    with these.

    Args:
        count: The number of environments.

    >>> seeds = EpisodeSeeds(2)
    >>> generator = np.random.default_rng(0)
    >>> seeds.following(7, generator).tolist(), seeds.following(None, generator).tolist()
    ([[7, 0], [8, 0]], [[7, 1], [8, 1]])
    >>> seeds.following([3, None], generator).tolist()
    [[3, 0], [8, 2]]
    """

    def __init__(self, count: int) -> None:
        self._seeds: list[int | None] = [None] * count
        self._episodes = [0] * count

    def following(self, seed: Seed, generator: np.random.Generator) -> np.ndarray:
        """Returns the seeds `[count, 2]` of the episodes that start now.

        Args:
            seed: The seed that `reset` was given, or one for each environment; `None` to go on
                from the last.
            generator: Draws a seed where there has been none.

        Raises:
            TypeError: One of several seeds is no integer.
            ValueError: One is negative, or there are more or fewer than environments.
        """
        drawn: int | None = None
        for i, own in enumerate(self._given(seed)):
            if own is not None:
                self._seeds[i], self._episodes[i] = own, 0
            elif self._seeds[i] is None:
                drawn = int(generator.integers(_SEEDS - 1)) if drawn is None else drawn
                self._seeds[i] = drawn + i
            else:
                self._episodes[i] += 1
        pairs = zip(self._seeds, self._episodes, strict=True)
        return np.array([[(own or 0) % _SEEDS, episode] for own, episode in pairs])

    def _given(self, seed: Seed) -> list[int | None]:
        """Returns the seed of each environment."""
        count = len(self._seeds)
        if seed is None:
            return [None] * count
        if isinstance(seed, int | np.integer):
            return [int(seed) + i for i in range(count)]
        given = list(seed)
        if len(given) != count:
            raise ValueError(
                f"seed must be an integer or a list of {count}, one for each environment, got "
                f"{len(given)}: pass as many as there are environments."
            )
        for own in given:
            if own is not None and not isinstance(own, int | np.integer):
                raise TypeError(f"seed must hold integers or None, got {own!r}: convert it.")
            if own is not None and own < 0:
                raise ValueError(f"seed must hold no negative integers, got {own}: pass 0 or more.")
        return [None if own is None else int(own) for own in given]
