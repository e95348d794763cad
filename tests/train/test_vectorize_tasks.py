"""The flag --vectorize-tasks."""

import pytest

from warptf.train.experiments.maze.experiment import MazeExperiment
from warptf.train.experiments.multi_shot.experiment import MultiShotExperiment
from warptf.train.experiments.sine.experiment import SineExperiment
from warptf.train.experiments.surfaces.experiment import SurfacesExperiment

VECTORISE = {"auto": "auto", "yes": True, "no": False, "4": 4}


@pytest.mark.parametrize("given", VECTORISE)
@pytest.mark.parametrize("experiment", [SineExperiment, SurfacesExperiment])
def test_it_reaches_the_meta_learner(experiment: type, given: str) -> None:
    config = experiment.config_class.from_preset("smoke", vectorize_tasks=given)
    made = experiment()
    learner = made.build_learner(config, made.build_tasks(config))
    assert learner.get_compile_config()["vectorize_tasks"] == VECTORISE[given]


@pytest.mark.parametrize("given", ["0", "-1", "all", "1.5", ""])
def test_other_values_are_refused(given: str) -> None:
    config_class = MultiShotExperiment.config_class
    with pytest.raises(ValueError, match="--vectorize-tasks.*give auto, yes, no or a number"):
        config_class.from_preset("smoke", vectorize_tasks=given).validate()


def test_a_maze_has_its_episodes_together_in_any_case() -> None:
    with pytest.raises(ValueError, match="--vectorize-tasks.*give auto"):
        MazeExperiment.config_class.from_preset("smoke", vectorize_tasks="yes").validate()
