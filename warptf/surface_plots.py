"""Figures of descent on two-dimensional surfaces, in the plane of the surface and in the warped."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]

LIMIT = 3.5
_POINTS = 121
_WARPED, _PLAIN = "tab:red", "tab:blue"
_FRAMES = 50


class Trajectories(NamedTuple):
    r"""Where `N` starts lead in `K` steps.

    Args:
        theta: Of the warped learner in its own space P, $\theta_k$ `[N, K + 1, 2]`.
        warped: The same on the surface, in W, $x_k = \Omega(\theta_k)$ `[N, K + 1, 2]`.
        plain: Of plain gradient descent on the surface, from the same points, `[N, K + 1, 2]`.
    """

    theta: np.ndarray
    warped: np.ndarray
    plain: np.ndarray


def still(
    value: Function, warp: Function, trajectories: Trajectories, path: str | os.PathLike[str]
) -> None:
    r"""Draws the surface in W and in P, in three dimensions and as contours, with trajectories.

    In W the height at $x$ is $f(x)$, in P at $\theta$ it is $f(\Omega(\theta))$.

    Args:
        value: $f$, of points `[..., 2]`.
        warp: $\Omega$, of points `[..., 2]`.
        trajectories: What to draw on the surface.
        path: The image file to write; its suffix gives the format.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "surface.png"
    >>> line = np.linspace([1.0, 1.0], [0.0, 0.0], 5)[None]
    >>> still(lambda x: (x**2).sum(-1), lambda x: x, Trajectories(line, line, line), path)
    >>> path.exists()
    True
    """
    figure = _figure((10.0, 8.0))
    spaces = _spaces(value, warp, trajectories)
    for column, (title, height, lines) in enumerate(spaces):
        x, y, z = _grid(height)
        solid = figure.add_subplot(2, 2, 1 + column, projection="3d")
        solid.plot_surface(x, y, z, cmap="viridis", alpha=0.6, linewidth=0)
        flat = figure.add_subplot(2, 2, 3 + column)
        _contours(flat, x, y, z, title)
        for name, color, points in lines:
            for number, line in enumerate(points):
                label = name if number == 0 else None
                flat.plot(line[:, 0], line[:, 1], color=color, linewidth=1, label=label)
                flat.plot(*line[-1], marker="o", color=color, markersize=3)
                solid.plot(line[:, 0], line[:, 1], height(line), color=color, linewidth=1)
        solid.set(title=title, xlabel="1", ylabel="2")
        flat.legend(fontsize="small", loc="upper right")
    _save(figure, path)


def moving(
    value: Function, warp: Function, trajectories: Trajectories, path: str | os.PathLike[str]
) -> None:
    r"""Draws both descents as an animation, on the contours in W and in P.

    Args:
        value: $f$, of points `[..., 2]`.
        warp: $\Omega$, of points `[..., 2]`.
        trajectories: What to draw on the surface.
        path: The GIF to write.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "descent.gif"
    >>> line = np.linspace([1.0, 1.0], [0.0, 0.0], 3)[None]
    >>> moving(lambda x: (x**2).sum(-1), lambda x: x, Trajectories(line, line, line), path)
    >>> path.read_bytes()[:6]
    b'GIF89a'
    """
    from matplotlib.animation import FuncAnimation, PillowWriter

    figure = _figure((8.0, 4.0))
    drawn = []
    for column, (title, height, lines) in enumerate(_spaces(value, warp, trajectories)):
        axes = figure.add_subplot(1, 2, 1 + column)
        _contours(axes, *_grid(height), title)
        for name, color, points in lines:
            dots = axes.plot(
                [], [], color=color, marker="o", markersize=4, linestyle="", label=name
            )
            trails = [axes.plot([], [], color=color, linewidth=1)[0] for _ in points]
            drawn.append((points, dots[0], trails))
        axes.legend(fontsize="small", loc="upper right")

    def draw(step: int) -> list[Any]:
        for points, dots, trails in drawn:
            dots.set_data(points[:, step, 0], points[:, step, 1])
            for trail, line in zip(trails, points, strict=True):
                trail.set_data(line[: step + 1, 0], line[: step + 1, 1])
        return []

    steps = trajectories.theta.shape[1]
    frames = np.unique(np.linspace(0, steps - 1, _FRAMES).astype(int))
    animation = FuncAnimation(figure, draw, frames=frames.tolist())
    aside = _aside(path)
    animation.save(aside, writer=PillowWriter(fps=10), dpi=80)
    os.replace(aside, path)


def final_losses(warped: np.ndarray, plain: np.ndarray, path: str | os.PathLike[str]) -> None:
    """Draws how much lower, or higher, the warped learner ends than plain descent.

    Args:
        warped: `[N]`, the final loss of each start.
        plain: `[N]`, that of plain descent.
        path: The image file to write; its suffix gives the format.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "final.png"
    >>> final_losses(np.array([-2.0, -1.0]), np.array([-1.0, -1.5]), path)
    >>> path.exists()
    True
    """
    figure = _figure((9.0, 4.0))
    scatter, histogram = figure.subplots(1, 2)
    scatter.plot(plain, warped, ".", markersize=3)
    ends = [min(plain.min(), warped.min()), max(plain.max(), warped.max())]
    scatter.plot(ends, ends, color="gray", linewidth=0.8)
    scatter.set(xlabel="final loss, plain descent", ylabel="final loss, warped")
    histogram.hist(warped - plain, bins=60)
    histogram.axvline(0, color="gray", linewidth=0.8)
    share = np.mean(warped < plain)
    histogram.set(
        xlabel="warped - plain", ylabel="starts", title=f"warped is lower on {share:.0%} of them"
    )
    _save(figure, path)


def _spaces(value: Function, warp: Function, trajectories: Trajectories) -> list[Any]:
    """Returns title, height and lines of W and of P."""
    both = [("warped", _WARPED, trajectories.warped), ("plain", _PLAIN, trajectories.plain)]
    return [
        ("W: the surface itself", value, both),
        (
            "P: as the learner descends it",
            lambda theta: value(warp(theta)),
            [("warped", _WARPED, trajectories.theta)],
        ),
    ]


def _grid(height: Function) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    line = np.linspace(-LIMIT, LIMIT, _POINTS)
    x, y = np.meshgrid(line, line)
    return x, y, np.asarray(height(np.stack([x, y], -1)))


def _contours(axes: Any, x: np.ndarray, y: np.ndarray, z: np.ndarray, title: str) -> None:
    axes.contour(x, y, z, levels=30, cmap="viridis", linewidths=0.7)
    axes.set(title=title, xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT))


def _figure(size: tuple[float, float]) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def _aside(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    return path.with_name("writing-" + path.name)


def _save(figure: Any, path: str | os.PathLike[str]) -> None:
    """Writes a figure whole or not at all."""
    aside = _aside(path)
    figure.savefig(aside, dpi=130)
    os.replace(aside, path)
