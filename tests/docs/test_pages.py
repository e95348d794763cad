"""Every block of the documentation does what it says when it is typed as it stands."""

import functools
import inspect
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from docs.pages import blocks_of

import warptf
from warptf.meta_learners.meta_learner import MetaLearner
from warptf.tasks.cache_folder import cache_folder
from warptf.train.command import cli

STEPS = 2
# Training is what other tests are about: a run of what needs none has all the files of one.
SMALL = "--preset smoke --meta-learner none --filters 2 --test-tasks 5"
# The pretrained weights are a download.
BACKBONE = "--preset smoke --meta-learner centroid --backbone-weights none --test-tasks 5"


def capped(function: Callable[..., Any], **most: int) -> Callable[..., Any]:
    """Returns a function that is never given more than some numbers."""
    names = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = names.bind(*args, **kwargs)
        bound.apply_defaults()
        for values in (bound.arguments, bound.arguments.get("kwargs", {})):
            for name, value in most.items():
                if isinstance(values.get(name), int):
                    values[name] = min(values[name], value)
        return function(*bound.args, **bound.kwargs)

    return call


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps of everything: what is typed stays as it is, and ends sooner."""
    fit = capped(keras.Model.fit, epochs=1, steps_per_epoch=1)

    @functools.wraps(fit)
    def shorter(self: keras.Model, x: Any = None, **kwargs: Any) -> Any:
        steps = {"validation_steps": 1} if "validation_data" in kwargs else {}
        return fit(self, x, **{**kwargs, **steps, "verbose": 0})

    monkeypatch.setattr(keras.Model, "fit", shorter)
    inner = capped(MetaLearner.__init__, inner_steps=STEPS, evaluation_steps=STEPS)
    monkeypatch.setattr(MetaLearner, "__init__", inner)
    drawn = capped(warptf.tasks.MultiShot.__init__, steps=STEPS)
    monkeypatch.setattr(warptf.tasks.MultiShot, "__init__", drawn)
    for learner in (warptf.OnlineMetaLearner, warptf.OfflineMetaLearner):
        monkeypatch.setattr(learner, "adapt", capped(learner.adapt, steps=STEPS))
    evaluate = keras.Model.evaluate
    monkeypatch.setattr(
        keras.Model, "evaluate", lambda self, x, *a, **k: evaluate(self, x.take(1), *a, **k)
    )
    oracle = capped(keras_tuner.Oracle.__init__, max_trials=1)
    monkeypatch.setattr(keras_tuner.Oracle, "__init__", oracle)
    # How long XLA takes to compile says nothing of a page; tests of the algorithms use it.
    continual = warptf.ContinualMetaLearner
    monkeypatch.setattr(continual, "compile", capped(continual.compile, jit_compile=0))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of one's own to work in, with a folder of photographs."""
    random = np.random.default_rng(0)
    for name in (f"class{number:02d}" for number in range(32)):
        (tmp_path / "photographs" / name).mkdir(parents=True)
        for number in range(16):
            image = tf.io.encode_jpeg(random.integers(0, 255, (8, 8, 3), "uint8"))
            path = tmp_path / "photographs" / name / f"{number}.jpg"
            path.write_bytes(image.numpy())
    # Photographs are cached apart from those of the user; glyphs, which take long, are as they are.
    warptf.tasks.glyph_bank()
    cache = tmp_path / "cache"
    cache.mkdir()
    for made in Path(cache_folder()).glob("glyphs_*.npz"):
        (cache / made.name).write_bytes(made.read_bytes())
    monkeypatch.setenv("WARPTF_CACHE_DIR", str(cache))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    keras.config.set_dtype_policy("float32")
    keras.config.set_floatx("float32")


def examples(shape: tuple[int, ...], ways: int = 5) -> dict[str, Any]:
    """What a reader has of a task: an image of each class, twice."""
    random = np.random.default_rng(0)
    x = random.random((2, ways, *shape), "float32")
    y = np.arange(ways, dtype="int32")
    return dict(support_x=x[0], support_y=y, query_x=x[1], query_y=y, images=x[1])


def read(page: str, names: dict[str, Any], small: str) -> None:
    """Types all blocks of a page, one after another."""
    for block in blocks_of(page):
        if block.is_python:
            block.run(names)
        for command in block.commands:
            run(command, small)


def run(command: str, small: str) -> None:
    """Runs a command of the page: training in little, usage lines not at all."""
    words = shlex.split(command)
    if words[0] == "export":
        assert cli.main(words) == 0, command
    elif words[0] == "train" and "--run-dir" in words:
        assert cli.main([*words, *shlex.split(small)]) == 0, command


@pytest.mark.usefixtures("budget")
def test_the_example_of_the_readme(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = next(block for block in blocks_of("README.md") if block.is_python)
    assert len(example.text.splitlines()) < 30
    example.run({})
    assert (place / "learner.keras").is_file()
    assert "accuracy" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_photographs_of_the_readme() -> None:
    names = examples((160, 160, 3))
    for block in blocks_of("README.md"):
        for command in block.commands:
            run(command, BACKBONE)
        if block.is_python and "import warptf" not in block.text:
            block.run(names)
    assert names["logits"].shape == (5, 5)


@pytest.mark.usefixtures("budget")
def test_guide(place: Path) -> None:
    task = warptf.tasks.Task(*(2 * [(np.ones((2, 5, 28, 28, 1)), np.zeros((2, 5), int))]))
    names: dict[str, Any] = dict(keras=keras, tf=tf, np=np, warptf=warptf)
    names |= dict(x=task.support[0], y=task.support[1], x_query=task.query[0])
    names |= dict(y_query=task.query[1], **examples((28, 28, 1)))
    exported(place / "served")
    read("docs/guide.md", names, "")


@pytest.mark.slow
@pytest.mark.usefixtures("budget")
def test_serving(place: Path) -> None:
    run("train few-shot --run-dir runs/omniglot --data glyphs", SMALL)
    names = examples((28, 28, 1))
    np.savez("support.npz", x=names["support_x"], y=names["support_y"])
    names["learner"] = keras.models.load_model("runs/omniglot/model.keras")
    read("docs/serving.md", names, "")
    assert names["logits"].shape == (5, 5)


@pytest.mark.slow
@pytest.mark.usefixtures("budget", "place")
def test_experiments() -> None:
    names: dict[str, Any] = {}
    for block in blocks_of("docs/experiments.md"):
        if block.is_python:
            block.run(names)


def exported(path: Path) -> None:
    """Writes a SavedModel for the reader of a page that begins with one."""
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(5)]
    )
    learner = warptf.OnlineMetaLearner(model, warptf.inner_optimizers.SGD(0.1), 1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner.compile("sgd", loss)
    learner.export(path, label_spec=tf.TensorSpec([None], tf.int32))
