"""The few-shot experiment: meta-train on some classes, learn others from a few images."""

from typing import Any

import numpy as np

import warptf
from warptf.models.backbone_learner import BackboneParts, backbone_parts, join_backbone
from warptf.tasks import ClassSplit, FewShot, ImageAugmentation, ImageBank

from ...engine.experiment import Experiment
from ...engine.flag_names import names_flags
from ...engine.result import classification_figures
from ...engine.run_directory import RunDirectory
from ...engine.selection import BY_TASK, by_task
from ...engine.training_plot import write_training_plot, write_validation_plot
from .backbone_model import backbone_model, check_backbone_name
from .config import FewShotConfig
from .data import read_data
from .feature_tasks import FeatureTasks
from .fitting import fitted_to_folder
from .learner import build_learner, build_on_features, scoring_learner

# Augmentation shifts by up to a tenth of the image, as is usual for 84 pixels.
_SHIFT = 8 / 84


_names_flags = names_flags(
    split="data",
    bank="the images",
    tasks_per_batch="tasks",
    steps="inner_steps",
    evaluation_tasks="test_tasks",
)


class FewShotExperiment(Experiment):
    """Each task is some classes of a split, the best learner on validation is reported."""

    name = FewShotConfig.EXPERIMENT
    config_class = FewShotConfig
    reports_best = True

    @_names_flags
    def build_tasks(self, config: FewShotConfig) -> FewShot:
        """Returns the tasks, their images decoded."""
        if config.backbone is not None:
            check_backbone_name(config.backbone)
        bank, split = read_data(config)
        if config.learner != "backbone":
            return FewShot(bank, split, **_protocol(config, bank.image_shape))
        model = backbone_model(config, bank.image_shape, config.ways)
        return _feature_tasks(config, bank, split, model)

    def fitted(self, config: FewShotConfig, given: set[str]) -> FewShotConfig:
        """Returns a configuration whose tasks the folder of images has enough for."""
        config.validate()
        if config.backbone is not None:
            check_backbone_name(config.backbone)
        return fitted_to_folder(config, given)

    @_names_flags
    def tasks_of(self, config: FewShotConfig, learner: Any) -> FewShot:
        """Returns the tasks for a finished learner, whose own backbone gives their features."""
        if config.learner != "backbone":
            return self.build_tasks(config)
        bank, split = read_data(config)
        return _feature_tasks(config, bank, split, learner.model)

    def build_learner(self, config: FewShotConfig, tasks: FewShot) -> Any:
        """Returns the compiled meta-learner, of the part that is learned."""
        if isinstance(tasks, FeatureTasks):
            return build_on_features(config, tasks)
        return build_learner(config, tasks.image_shape)

    def finished_learner(self, learner: Any, tasks: FewShot) -> Any:
        """Returns the learner from images on, the frozen backbone included."""
        if not isinstance(tasks, FeatureTasks):
            return learner
        parts = BackboneParts(tasks.features, learner.model)
        return warptf.with_model(learner, join_backbone(parts))

    def score_validation(self, learner: Any, tasks: FewShot) -> dict[str, Any]:
        """Returns the figures of the validation tasks."""
        scores = learner.evaluate_tasks(tasks.validation)
        figures = classification_figures(scores)
        return {
            "loss": float(np.mean(scores["loss"])),
            **{name: figures[name] for name in ("accuracy", "accuracy_ci95", "macro_f1")},
            BY_TASK: by_task(self.by_task(tasks, scores)),
        }

    def score(self, learner: Any, tasks: FewShot) -> dict[str, Any]:
        """Returns the scores of the test tasks."""
        return scoring_learner(learner, tasks).evaluate_tasks(tasks.test)

    def by_task(self, tasks: FewShot, scores: dict[str, Any]) -> dict[str, Any]:
        """Returns the accuracy and the loss of each task."""
        return {name: scores[name] for name in ("accuracy", "loss")}

    def scores_by_task(self, tasks: FewShot, scores: dict[str, Any]) -> dict[str, Any]:
        """Returns the scores with the classes that the tasks are made of."""
        return {
            "classes": tasks.describe()["test"],
            **{name: values.tolist() for name, values in scores.items()},
        }

    def figures(
        self, config: FewShotConfig, tasks: FewShot, scores: dict[str, Any]
    ) -> dict[str, Any]:
        """Returns the figures of the test tasks and the budget they had."""
        reported = (
            "batch_norm",
            "learner",
            "head",
            "backbone",
            "adapt",
            "adapter",
            "filters",
            "downsampling",
            "warp",
            "ways",
            "shots",
            "evaluation_ways",
            "evaluation_shots",
            "queries",
            "evaluation_queries",
            "tasks",
            "batch_size",
            "inner_steps",
            "evaluation_steps",
            "meta_steps",
        )
        baseline = tasks.centroid_accuracy() if isinstance(tasks, FeatureTasks) else None
        return {
            **classification_figures(scores),
            **({} if baseline is None else {"centroid_accuracy": baseline}),
            **{name: getattr(config, name) for name in reported},
            "image_size": "x".join(map(str, getattr(tasks, "pixels", tasks.image_shape))),
        }

    def write_plots(self, run: RunDirectory) -> None:
        """Draws the validation accuracy and the meta-training loss."""
        write_training_plot(run)
        write_validation_plot(run, "accuracy")


def _feature_tasks(
    config: FewShotConfig, bank: ImageBank, split: ClassSplit, model: Any
) -> FeatureTasks:
    features = backbone_parts(model).features
    return FeatureTasks(bank, split, features, **_protocol(config, bank.image_shape))


def _protocol(config: FewShotConfig, shape: tuple[int, int, int]) -> dict[str, Any]:
    """Returns the arguments of `FewShot` that say what a task is."""
    multi_shot = config.batch_size is not None
    return dict(
        ways=config.ways,
        shots=config.shots,
        queries=config.queries,
        evaluation_ways=config.evaluation_ways,
        evaluation_shots=config.evaluation_shots,
        evaluation_queries=config.evaluation_queries,
        tasks_per_batch=config.tasks,
        evaluation_tasks=config.test_tasks,
        validation_tasks=config.validation_tasks,
        evaluation_tasks_per_batch=1 if multi_shot else 5,
        steps=config.inner_steps if multi_shot else None,
        batch_size=config.batch_size,
        evaluation_steps=config.evaluation_steps if multi_shot else None,
        query_steps=multi_shot and config.reads_query_at_every_step,
        augmentation=_augmentation(config, shape) if config.augment else None,
        seed=config.seed,
    )


def _augmentation(config: FewShotConfig, shape: tuple[int, int, int]) -> ImageAugmentation:
    padding = round(_SHIFT * shape[0])
    if config.source.characters:
        # A mirrored character is another one, and ink has no colour.
        return ImageAugmentation(False, padding, brightness=0, contrast=0, saturation=0)
    return ImageAugmentation(padding=padding)
