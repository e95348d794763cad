"""The surface experiment: descent in a warped plane, and what it looks like."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import warptf
from warptf import inner_optimizers, losses, models, objectives, surface_plots
from warptf.tasks import Surfaces

from ...engine.experiment import Experiment
from ...engine.run_directory import RunDirectory
from ...engine.selection import BY_TASK, by_task
from ...engine.training_plot import write_training_plot, write_validation_plot
from .config import SurfacesConfig

AT_MINIMUM = 1e-3
"""A start where the surface's slope is below this counts as being at a minimum already."""
SAME = 1e-3
"""Final losses that differ by no more than this count as those of the same minimum."""
_DIGITS = 5


class SurfacesExperiment(Experiment):
    r"""Each starting point on each surface is one task.

    The warped learner descends from random $\theta_0$, plain gradient descent from the same point
    of the surface, $x = \Omega(\theta_0)$, since $\Omega$ need not be invertible.
    """

    name = SurfacesConfig.EXPERIMENT
    config_class = SurfacesConfig
    monitored = "loss"
    objectives = ("loss",)
    reports_best = True

    def run_dir_words(self, config: SurfacesConfig) -> tuple[str, ...]:
        """Returns words for the name of a new run directory."""
        return (self.name,)

    def build_tasks(self, config: SurfacesConfig) -> Surfaces:
        """Returns the surfaces."""
        return Surfaces(config.starts, config.test_surfaces, config.seed, config.surfaces)

    def build_learner(self, config: SurfacesConfig, tasks: Surfaces) -> Any:
        """Returns the compiled meta-learner."""
        learner = warptf.OnlineMetaLearner(
            models.surface_learner(config.warp_units, config.seed),
            inner_optimizers.SGD(config.inner_rate),
            config.inner_steps,
            objective=objectives.WarpGrad(config.second_order),
            seed=config.seed,
            gradient_accumulation_steps=config.accumulation_steps,
        )
        learner.compile(
            loss=losses.SurfaceValue(),
            **config.outer_steps(),
        )
        return learner

    def score_validation(self, learner: Any, tasks: Surfaces) -> dict[str, Any]:
        """Returns the mean final loss of the warped learner and of plain descent."""
        scores = _scores(learner, tasks.validation)
        figures = _figures(scores)
        return {
            **{name: figures[name] for name in ("loss", "loss_plain", "better")},
            BY_TASK: by_task(self.by_task(tasks, scores)),
        }

    def score(self, learner: Any, tasks: Surfaces) -> dict[str, np.ndarray]:
        """Returns the trajectories and losses of both on the test surfaces."""
        return _scores(learner, tasks.test)

    def by_task(self, tasks: Surfaces, scores: dict[str, Any]) -> dict[str, Any]:
        """Returns the final loss on each surface, the mean of its starts."""
        return {"loss": scores["loss"][:, -1].reshape(-1, tasks.starts).mean(-1)}

    def scores_by_task(self, tasks: Surfaces, scores: dict[str, Any]) -> dict[str, Any]:
        """Returns the losses of each start, and the trajectories of the first surface."""
        by_task = ("loss", "loss_plain", "slope", "surface")
        first = {name: scores[name][: tasks.starts] for name in ("theta", "warped", "plain")}
        chosen = {name: scores[name] for name in by_task} | first
        return {name: values.round(_DIGITS).tolist() for name, values in chosen.items()}

    def figures(
        self, config: SurfacesConfig, tasks: Surfaces, scores: dict[str, Any]
    ) -> dict[str, Any]:
        """Returns the figures of the test surfaces and the budget they had."""
        reported = (
            "inner_rate",
            "inner_steps",
            "warp_units",
            "meta_steps",
            "meta_rate",
            "surfaces",
        )
        return {
            **_figures(scores),
            "test_tasks": len(scores["slope"]),
            **{name: getattr(config, name) for name in reported},
        }

    def write_plots(self, run: RunDirectory) -> None:
        """Draws surfaces with trajectories, still and moving, and the losses."""
        learner = keras.models.load_model(run.model)
        scores = {name: np.asarray(values) for name, values in run.read_scores().items()}
        surface, warp = scores["surface"][0], warp_of(learner)
        trajectories = surface_plots.Trajectories(
            scores["theta"], scores["warped"], scores["plain"]
        )

        def value(points: np.ndarray) -> np.ndarray:
            return surface_value(surface, points)

        surface_plots.still(value, warp, trajectories, run.plots / "surface.png")
        surface_plots.moving(value, warp, trajectories, run.plots / "descent.gif")
        moved = scores["slope"] >= AT_MINIMUM
        surface_plots.final_losses(
            scores["loss"][moved, -1], scores["loss_plain"][moved, -1], run.plots / "final.png"
        )
        write_training_plot(run)
        write_validation_plot(run, "loss")


def warp_of(learner: Any) -> Callable[[np.ndarray], np.ndarray]:
    r"""Returns $\Omega$ of a learner, a function of points `[..., 2]`.

    Args:
        learner: A meta-learner of a `surface_learner`, whose task vector is zero.
    """

    def warp(theta: np.ndarray) -> np.ndarray:
        points = np.asarray(theta, "float32")
        return learner.model(points.reshape(-1, 2)).numpy().reshape(points.shape)

    return warp


def surface_value(surface: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Returns the height of a surface at points `[..., 2]`.

    Args:
        surface: Its seven parameters.
        points: The points.
    """
    height = losses.SurfaceValue().call(
        np.asarray(surface, "float64"), np.asarray(points, "float64")
    )
    return keras.ops.convert_to_numpy(height)


def _scores(learner: Any, data: tf.data.Dataset) -> dict[str, np.ndarray]:
    """Returns points and losses of `N` starts at each step, warped and by plain descent.

    Axes: `theta`, `warped` and `plain` are `[N, K + 1, 2]`, `loss` and `loss_plain` `[N, K + 1]`,
    `slope` is the length `[N]` of the surface's gradient at the start, `surface` `[N, 7]`.
    """
    theta_0 = np.concatenate([task.support[0].numpy()[:, 0] for task in data])
    surface = np.concatenate([task.support[1].numpy()[:, 0] for task in data])
    (delta,) = learner.trajectories(data)
    theta = theta_0[:, None] + delta
    warped = warp_of(learner)(theta)
    plain = _descend(learner, data)
    each = surface[:, None]
    return {
        "theta": theta,
        "warped": warped,
        "plain": plain,
        "loss": surface_value(each, warped),
        "loss_plain": surface_value(each, plain),
        "slope": _slope(surface, warped[:, 0]),
        "surface": surface,
    }


def _descend(learner: Any, data: tf.data.Dataset) -> np.ndarray:
    r"""Returns plain gradient descent from $x = \Omega(\theta_0)$, `[N, K + 1, 2]`."""
    warp = warp_of(learner)
    x = np.stack([warp(task.support[0].numpy()) for task in data])
    y = np.stack([task.support[1].numpy() for task in data])
    plain = warptf.OnlineMetaLearner(
        models.surface_learner(None), learner.inner_optimizer, learner.inner_steps, objective=None
    )
    config = learner.get_compile_config()
    way = {name: config[name] for name in ("jit_compile", "vectorize_tasks") if name in config}
    plain.compile(loss=losses.SurfaceValue(), **way)
    tasks = tf.data.Dataset.from_tensor_slices(((x, y), (x, y)))
    return plain.predict_along(tasks).astype("float64")[:, :, 0]


def _slope(surface: np.ndarray, points: np.ndarray) -> np.ndarray:
    x = tf.constant(points)
    with tf.GradientTape() as tape:
        tape.watch(x)
        height = losses.SurfaceValue().call(tf.constant(surface), x)
    return np.linalg.norm(tape.gradient(height, x).numpy(), axis=-1)


def _figures(scores: dict[str, np.ndarray]) -> dict[str, Any]:
    moved = scores["slope"] >= AT_MINIMUM
    warped, plain = scores["loss"][moved, -1], scores["loss_plain"][moved, -1]
    return {
        "loss": float(scores["loss"][:, -1].mean()),
        "loss_plain": float(scores["loss_plain"][:, -1].mean()),
        "loss_before": float(scores["loss"][:, 0].mean()),
        "better": _share(warped < plain),
        "same": _share(abs(warped - plain) <= SAME),
        "better_where_apart": _share((warped < plain)[abs(warped - plain) > SAME]),
        "starts_compared": len(warped),
    }


def _share(chosen: np.ndarray) -> float:
    """Returns the share of starts that are chosen; 0 if there are no starts."""
    return float(chosen.mean()) if chosen.size else 0.0
