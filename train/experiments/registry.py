"""The experiments that `warptf train` knows, by name, without what they train."""

import dataclasses
from typing import TYPE_CHECKING, Any

from .. import entries
from .continual_sine.config import ContinualSineConfig
from .few_shot.config import FewShotConfig
from .maze.config import MazeConfig
from .multi_shot.config import MultiShotConfig
from .sine.config import SineConfig
from .surfaces.config import SurfacesConfig

if TYPE_CHECKING:
    from ..engine.experiment import Experiment


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
        return entries.load(f"experiments.{self.program}")()


EXPERIMENTS: dict[str, ExperimentEntry] = {
    entry.name: entry
    for entry in (
        ExperimentEntry(MultiShotConfig, "multi_shot.experiment:MultiShotExperiment"),
        ExperimentEntry(FewShotConfig, "few_shot.experiment:FewShotExperiment"),
        ExperimentEntry(SineConfig, "sine.experiment:SineExperiment"),
        ExperimentEntry(ContinualSineConfig, "continual_sine.experiment:ContinualSineExperiment"),
        ExperimentEntry(SurfacesConfig, "surfaces.experiment:SurfacesExperiment"),
        ExperimentEntry(MazeConfig, "maze.experiment:MazeExperiment"),
    )
}
DEFAULT_EXPERIMENT = MultiShotConfig.EXPERIMENT
