"""The experiments that `warptf train` knows, by name."""

from .experiment import Experiment
from .few_shot import FewShotExperiment
from .multi_shot import MultiShotExperiment

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment for experiment in (MultiShotExperiment(), FewShotExperiment())
}
DEFAULT_EXPERIMENT = MultiShotExperiment.name
