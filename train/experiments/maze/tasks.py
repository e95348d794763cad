"""The mazes that an agent is trained in and scored on."""

import dataclasses

import tensorflow as tf

from warptf.reinforcement import ActorCritic

# First numbers of the batches of episodes that are played for a score.
VALIDATION, TEST = 0, 1_000_000


@dataclasses.dataclass(frozen=True)
class MazeTasks:
    """Episodes of one environment.

    Args:
        experience: What is learned from them.
        seed: The run's.
        batches: Batches of episodes for validation, and for the test.
    """

    experience: ActorCritic
    seed: int
    batches: int

    def train_from(self, step: int) -> tf.data.Dataset:
        """Batches of episodes without end.

        Args:
            step: The update to start at.
        """
        return self.experience.batches(start=step)

    def seeds(self, first: int) -> range:
        """Returns a seed for each batch that is played for a score.

        Args:
            first: `VALIDATION` or `TEST`.
        """
        begin = first + (self.seed % 1000) * self.batches
        return range(begin, begin + self.batches)

    def describe(self) -> dict[str, list[str]]:
        """Tells what the tasks of each split are."""
        count = self.batches * self.experience.episodes
        numbers = {"train": "endless", "validation": count, "test": count}
        return {split: [f"{n} goals drawn with seed {self.seed}"] for split, n in numbers.items()}
