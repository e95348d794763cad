"""What calls what, from a meta-step to the model: few files, and none that calls upwards."""

import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import keras
import pytest
from meta_learners.problems import classification_tasks, cross_entropy, one_batch
from test_architecture_order import LEVELS, ROOT, part_of

import warptf
from warptf.initializations import MAML, FirstOrderBilevelMAML, ImplicitMAML, Leap
from warptf.inner_optimizers import SGD
from warptf.objectives import BackpropThroughAdaptation, WarpGrad

BOUNDARIES = 7
LOOP, STREAM = "warptf/adaptation/loop.py", "warptf/objectives/stream_step.py"
# The loop is handed what takes its steps and who watches them, and an objective for streams where
# they come from: these it calls, wherever they are, and nothing else.
HANDED_IN = {
    (LOOP, "lookahead"),
    (LOOP, "begin"),
    (LOOP, "observe"),
    (LOOP, "end"),
    (STREAM, "record"),
    (STREAM, "learn"),
}


class Frame(NamedTuple):
    """A call on the way: where its function is defined, and its name."""

    file: str
    line: int
    function: str


Walk = list[Frame]


class Spy(keras.layers.Dense):
    """A layer that remembers who has called it."""

    def call(self, inputs: Any, training: Any = None) -> Any:
        walk, frame = [], sys._getframe()
        while frame is not None:
            code, frame = frame.f_code, frame.f_back
            path = Path(code.co_filename)
            if path.is_relative_to(ROOT / "warptf"):
                file = str(path.relative_to(ROOT))
                walk.append(Frame(file, code.co_firstlineno, code.co_name))
        self.walks[tuple(reversed(walk))] = None
        return super().call(inputs)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.walks: dict[tuple[Frame, ...], None] = {}


def walks(make: Any, task: Any, **options: Any) -> list[Walk]:
    """The ways from a meta-step of a meta-learner to its model."""
    layers = [Spy(4), warptf.layers.WarpDense(4), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((2,)), *layers])
    learner = make(model)
    learner.compile("sgd", cross_entropy(), run_eagerly=True, **options)
    layers[0].walks.clear()
    learner.fit(one_batch(task), verbose=0)
    found = []
    for walk in layers[0].walks:
        names = [frame.function for frame in walk]
        for entry in ("train_step", "_meta_step"):
            if entry in names:
                found.append(list(walk[names.index(entry) :]))
                break
    assert found
    return found


def files(walk: Walk) -> list[str]:
    """The files on the way, each as often as the way comes to it."""
    return [f.file for i, f in enumerate(walk) if i == 0 or walk[i - 1].file != f.file]


def climbs(walk: Walk) -> list[tuple[Frame, Frame]]:
    """Calls from a lower level to a higher one, those of what was handed in left out."""

    def level(frame: Frame) -> int:
        return LEVELS[str(part_of(ROOT / frame.file))]

    return [
        (caller, called)
        for caller, called in zip(walk, walk[1:], strict=False)
        if level(called) > level(caller) and (caller.file, called.function) not in HANDED_IN
    ]


def online(objective: Any, initialization: Any) -> Any:
    return lambda model: warptf.OnlineMetaLearner(
        model, SGD(0.1), 2, objective=objective, initialization=initialization
    )


def offline(objective: Any, initialization: Any) -> Any:
    return lambda model: warptf.OfflineMetaLearner(
        model, SGD(0.1), 2, objective=objective, initialization=initialization
    )


WAYS = {
    "exact": online(WarpGrad(), Leap()),
    "exact MAML": online(WarpGrad(), MAML()),
    "MAML": online(None, MAML()),
    "iMAML": online(WarpGrad("finite_difference"), ImplicitMAML()),
    "bilevel": online(WarpGrad("none"), FirstOrderBilevelMAML()),
    "backpropagated": online(BackpropThroughAdaptation(), Leap()),
    "offline": offline(WarpGrad(), Leap()),
    "stored": offline(WarpGrad("none"), MAML()),
    "stream": lambda model: warptf.ContinualMetaLearner(
        model, objective=WarpGrad("finite_difference"), warp_update_interval=1
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_calls_go_down_and_cross_few_files(name: str) -> None:
    task = classification_tasks(1, None if name == "stream" else 2)
    for walk in walks(WAYS[name], task):
        path = files(walk)
        assert not climbs(walk), climbs(walk)
        assert len(path) - 1 <= BOUNDARIES, path


def test_a_callback_that_climbs_is_seen() -> None:
    way = [
        ("warptf/meta_learners/meta_learner.py", "train_step"),
        ("warptf/initializations/leap.py", "learn"),
        ("warptf/meta_learners/meta_learner.py", "adapt"),
        (LOOP, "adapt"),
        ("warptf/objectives/warp_grad.py", "lookahead"),
        (LOOP, "adapt"),
        ("warptf/meta_learners/meta_learner.py", "advance"),
    ]
    found = climbs([Frame(file, 1, name) for file, name in way])
    assert [(a.function, b.function) for a, b in found] == [
        ("learn", "adapt"),
        ("adapt", "advance"),
    ]


def test_the_walk_that_is_described_is_the_one_that_is_taken() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    described = re.findall(r"^\| `(warptf/[a-z_/]+\.py):(\d+)` `(\w+)` \|", text, re.MULTILINE)
    task = classification_tasks(1, 2)
    taken = {
        tuple((f.file, str(f.line), f.function) for f in walk)
        for walk in walks(WAYS["exact"], task)
        if "_task_gradients" in [f.function for f in walk]
    }
    (walk,) = taken
    rows = "\n".join(f"| `{file}:{line}` `{name}` |" for file, line, name in walk)
    assert tuple(described) == walk, f"CONTRIBUTING.md has to describe the walk\n{rows}"
