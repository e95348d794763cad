"""The experiments that `warptf train` knows, by name, without what they train."""

import dataclasses
import importlib
from typing import TYPE_CHECKING, Any

from .continual_sine_config import ContinualSineConfig
from .few_shot_config import FewShotConfig
from .maze_config import MazeConfig
from .multi_shot_config import MultiShotConfig
from .sine_config import SineConfig
from .surfaces_config import SurfacesConfig

if TYPE_CHECKING:
    from .experiment import Experiment


@dataclasses.dataclass(frozen=True)
class ExperimentEntry:
    """An experiment, whose program imports TensorFlow, and so is loaded when it is to run.

    Args:
        config_class: Its configuration, a `RunOptions` with a constructor `from_preset`.
        program: The module of its program, and the class there.
    """

    config_class: Any
    program: str

    @property
    def name(self) -> str:
        """What `warptf train` knows it by."""
        return self.config_class.EXPERIMENT

    def load(self) -> "Experiment":
        """Returns the program."""
        module, _, name = self.program.partition(":")
        return getattr(importlib.import_module(f".{module}", __package__), name)()


EXPERIMENTS: dict[str, ExperimentEntry] = {
    entry.name: entry
    for entry in (
        ExperimentEntry(MultiShotConfig, "multi_shot:MultiShotExperiment"),
        ExperimentEntry(FewShotConfig, "few_shot:FewShotExperiment"),
        ExperimentEntry(SineConfig, "sine:SineExperiment"),
        ExperimentEntry(ContinualSineConfig, "continual_sine:ContinualSineExperiment"),
        ExperimentEntry(SurfacesConfig, "surfaces:SurfacesExperiment"),
        ExperimentEntry(MazeConfig, "maze:MazeExperiment"),
    )
}
DEFAULT_EXPERIMENT = MultiShotConfig.EXPERIMENT
