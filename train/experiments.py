"""The experiments that `warptf train` knows, by name."""

from .continual_sine import ContinualSineExperiment
from .experiment import Experiment
from .few_shot import FewShotExperiment
from .maze import MazeExperiment
from .multi_shot import MultiShotExperiment
from .sine import SineExperiment
from .surfaces import SurfacesExperiment

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        MultiShotExperiment(),
        FewShotExperiment(),
        SineExperiment(),
        ContinualSineExperiment(),
        SurfacesExperiment(),
        MazeExperiment(),
    )
}
DEFAULT_EXPERIMENT = MultiShotExperiment.name
