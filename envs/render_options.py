"""Checks of what an environment is asked to draw."""

from collections.abc import Sequence

import gymnasium


def checked_render_mode(mode: str | None, modes: Sequence[str]) -> str | None:
    """Returns a render mode if it is one of those on offer, or `None`.

    Args:
        mode: The value received.
        modes: Those on offer.

    Raises:
        ValueError: It is another.
    """
    if mode is not None and mode not in modes:
        raise ValueError(
            f"render_mode must be None or one of {', '.join(modes)}, got {mode!r}: pass one of "
            "them."
        )
    return mode


def warn_of_no_mode() -> None:
    """Warns, as Gymnasium's own environments do, that `render` has nothing to draw."""
    gymnasium.logger.warn(
        "render() draws nothing without a render mode: pass render_mode when the environment is "
        "made, such as render_mode='rgb_array'."
    )
