"""A window that shows the maze."""

import importlib
from typing import Any

import gymnasium
import numpy as np


class MazeWindow:
    """A window of pygame, opened with the first picture.

    Args:
        frames_per_second: How many pictures it shows in a second at most.

    Raises:
        gymnasium.error.DependencyNotInstalled: There is no pygame.
    """

    def __init__(self, frames_per_second: int) -> None:
        try:
            self._pygame: Any = importlib.import_module("pygame")
        except ImportError as error:
            raise gymnasium.error.DependencyNotInstalled(
                "render_mode 'human' needs pygame, which is not installed: "
                "pip install 'warptf[render]'"
            ) from error
        self._frames_per_second = frames_per_second
        self._screen: Any = None
        self._clock: Any = None

    def show(self, image: np.ndarray) -> None:
        """Shows a picture, after as long a pause as the frames per second ask for.

        Args:
            image: `[height, width, 3]`, uint8.
        """
        pygame = self._pygame
        if self._screen is None:
            pygame.display.init()
            pygame.display.set_caption("Maze")
            self._screen = pygame.display.set_mode(image.shape[1::-1])
            self._clock = pygame.time.Clock()
        # pygame has the horizontal axis first.
        self._screen.blit(pygame.surfarray.make_surface(image.swapaxes(0, 1)), (0, 0))
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self._frames_per_second)

    def close(self) -> None:
        """Closes the window, if it is open."""
        if self._screen is not None:
            self._pygame.display.quit()
            self._screen = None
