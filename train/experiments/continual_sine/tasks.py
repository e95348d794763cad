"""The sequences of the continual experiment."""

import dataclasses
from typing import Any

import tensorflow as tf

from warptf.tasks import ContinualClasses, ContinualSine, ContinualTasks, alphabet_split

from ...engine.flag_names import names_flags
from ..character_data import character_images
from .config import ContinualSineConfig

META_LOSSES: dict[str, Any] = {"warp-ordinary": "current", "maml": "all"}
"""What the meta loss of a step looks at, where it is not all that was seen."""


@dataclasses.dataclass(frozen=True)
class Sequences:
    """The same sequences in the order of meta-training and in another one."""

    in_order: ContinualTasks
    shuffled: ContinualTasks

    @property
    def validation(self) -> tf.data.Dataset:
        """Validation tasks in the order of meta-training."""
        return self.in_order.validation

    @property
    def test(self) -> tf.data.Dataset:
        """Test tasks in the order of meta-training."""
        return self.in_order.test

    def train_from(self, step: int) -> tf.data.Dataset:
        """Returns the meta-training batches from a meta-step on."""
        return self.in_order.train_from(step)

    def describe(self) -> dict[str, list[str]]:
        """Returns what the tasks of each split are made of."""
        return self.in_order.describe()


@names_flags(
    split="data",
    held_out="the images held out",
    steps="sub_task_steps",
    tasks_per_batch="tasks",
    evaluation_tasks="test_tasks",
)
def build_tasks(config: ContinualSineConfig) -> Sequences:
    """Returns the sequences of a configuration.

    Args:
        config: A valid configuration.

    Raises:
        FileNotFoundError: If Omniglot is neither prepared nor to be had.
        ValueError: If there are too few characters.

    >>> tasks = build_tasks(ContinualSineConfig.from_preset("smoke"))
    >>> tasks.in_order.inner_steps
    10
    """
    common: dict[str, Any] = dict(
        sub_tasks=config.sub_tasks,
        steps=config.sub_task_steps,
        batch_size=config.batch_size,
        evaluation_queries=config.evaluation_queries,
        tasks_per_batch=config.tasks,
        evaluation_tasks=config.test_tasks,
        rehearsal=config.meta_learner == "replay",
        meta_loss=META_LOSSES.get(config.meta_learner, "seen"),
        seed=config.seed,
    )
    if config.data == "sine":
        tasks: ContinualTasks = ContinualSine(**common)
    else:
        bank = character_images(config.data, config.data_dir)
        split = alphabet_split(bank, seed=config.seed)
        tasks = ContinualClasses(bank, split, ways=int(config.ways or 0), **common)
    return Sequences(tasks, tasks.in_order(config.shuffled))
