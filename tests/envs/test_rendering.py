"""What the environments draw."""

import sys

import gymnasium
import numpy as np
import pytest

from warptf.envs import MazeEnv, MazeVectorEnv

GREY, WHITE, GREEN, BLUE = (70, 70, 70), (255, 255, 255), (40, 160, 70), (40, 90, 210)


def test_text_is_the_picture_drawn_by_hand() -> None:
    env = MazeEnv(size=5, render_mode="ansi")
    env.reset(seed=0, options={"goal": 18})
    assert env.render() == "#####\n#   #\n# A #\n#  G#\n#####"
    env.step(2)
    assert env.render() == "#####\n#   #\n#A  #\n#  G#\n#####"


def test_text_shows_pillars() -> None:
    env = MazeEnv(size=7, render_mode="ansi")
    env.reset(seed=0, options={"goal": 8})
    assert env.render().split("\n") == [
        "#######",
        "#G    #",
        "# # # #",
        "#  A  #",
        "# # # #",
        "#     #",
        "#######",
    ]


def test_each_cell_of_the_image_has_its_colour() -> None:
    env = MazeEnv(size=7, render_mode="rgb_array")
    env.reset(seed=0, options={"goal": 9})
    image = env.render()
    assert image.shape == (112, 112, 3) and image.dtype == np.uint8
    cells = image.reshape(7, 16, 7, 16, 3).transpose(0, 2, 1, 3, 4).reshape(49, 256, 3)
    expected = {24: BLUE, 9: GREEN, 0: GREY, 48: GREY, 16: GREY, 8: WHITE, 40: WHITE}
    for cell, colour in expected.items():
        assert (cells[cell] == colour).all()
    counts = [(cells[:, 0] == colour).all(axis=1).sum() for colour in (GREY, WHITE, GREEN, BLUE)]
    assert counts == [24 + 4, 25 - 4 - 2, 1, 1]


def test_a_vector_environment_draws_each_maze() -> None:
    env = MazeVectorEnv(2, size=5, render_mode="ansi")
    env.reset(seed=0, options={"goal": [6, 18]})
    assert env.render() == (
        "#####\n#G  #\n# A #\n#   #\n#####",
        "#####\n#   #\n# A #\n#  G#\n#####",
    )
    env = MazeVectorEnv(2, size=5, render_mode="rgb_array")
    env.reset(seed=0)
    assert [image.shape for image in env.render()] == [(80, 80, 3)] * 2


def test_a_window_shows_the_image(monkeypatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    import pygame

    env = MazeEnv(size=5, render_mode="human")
    env.reset(seed=0, options={"goal": 8})
    env.step(2)
    assert env.render() is None
    screen = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
    still = MazeEnv(size=5, render_mode="rgb_array")
    still.reset(seed=0, options={"goal": 8})
    still.step(2)
    np.testing.assert_array_equal(screen, still.render())
    env.close()
    assert not pygame.display.get_init()
    env.close()  # a second time is no error
    env.reset()  # and the window can be opened again
    assert pygame.display.get_init()
    env.close()


def test_without_pygame_a_window_says_how_to_get_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(
        gymnasium.error.DependencyNotInstalled,
        match=r"needs pygame.*pip install 'warptf\[render\]'",
    ):
        MazeEnv(render_mode="human")


@pytest.mark.parametrize("env_class", [MazeEnv, MazeVectorEnv])
def test_without_a_mode_there_is_a_warning(env_class) -> None:
    env = env_class()
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="pass render_mode when the environment is made"):
        assert env.render() is None
