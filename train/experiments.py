"""The experiments that `warptf train` knows, by name."""

from collections.abc import Callable
from typing import Any, NamedTuple

from . import multi_shot
from .multi_shot_config import MultiShotConfig


class Experiment(NamedTuple):
    """One experiment.

    Args:
        config_class: Its configuration, with a `from_preset` constructor.
        preset_fields: The fields that `from_preset` takes by position: those that set defaults.
        train: Runs it: configuration to result.
        evaluate: Scores its learner again: configuration and learner to result.
    """

    config_class: type[MultiShotConfig]
    preset_fields: tuple[str, ...]
    train: Callable[[Any], dict[str, Any]]
    evaluate: Callable[[Any, Any], dict[str, Any]]


EXPERIMENTS: dict[str, Experiment] = {
    multi_shot.EXPERIMENT: Experiment(
        MultiShotConfig,
        ("preset", "data", "meta_learner", "algorithm"),
        multi_shot.train,
        multi_shot.evaluate,
    ),
}
DEFAULT_EXPERIMENT = multi_shot.EXPERIMENT
