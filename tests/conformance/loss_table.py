"""The table of losses and metrics in `docs/compatibility.md`, of what their tests are run with."""

from collections.abc import Sequence
from typing import Any

from contracts.losses import LOSSES, Data, exported_losses, is_known_to_keras, ways
from contracts.metrics import TAKING

BEGIN, END = "## Losses and metrics\n", "## The matrix\n"
WAYS = ("name", "function", "class name", "object")
INTRODUCTION = """
One inner step, and what is reported of it, are those of `keras.Model.train_on_batch` with SGD, and
metrics those of `test_on_batch`, for every loss and metric that Keras exports, in each way in which
`compile` takes it, with targets of all these shapes, as numbers and truth values of several types,
and with weights of examples. Lists, dicts and nested structures of outputs are tested likewise, by

    python -m pytest tests/test_compiled_loss.py tests/meta_learners/test_task_metrics.py

"""


def with_losses(text: str) -> str:
    """The document with its table of losses and metrics, if it has the headings around it.

    Args:
        text: the document as it is.
    """
    if BEGIN not in text:
        return text
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}{INTRODUCTION}{_losses()}\n{_metrics()}\n{END}{rest.split(END)[1]}"


def _losses() -> str:
    lines = [f"| loss | {' | '.join(WAYS)} | outputs, and targets for them |", "|---" * 6 + "|"]
    for name, things in sorted(exported_losses().items()):
        made = {way: make() for thing in things for way, make in ways(thing).items()}
        marks = [_mark(made[way]) if way in made else "–" for way in WAYS]
        lines.append(f"| {name} | {' | '.join(marks)} | {_shapes(LOSSES[name])} |")
    return "".join(f"{line}\n" for line in lines)


def _mark(loss: Any) -> str:
    return "as Keras" if is_known_to_keras(loss) else "not in Keras"


def _metrics() -> str:
    lines = ["| metrics | outputs, and targets for them |", "|---|---|"]
    lines += [f"| {', '.join(names.split())} | {_shapes(kinds)} |" for names, kinds in TAKING]
    return "".join(f"{line}\n" for line in lines)


def _shapes(kinds: Sequence[Data]) -> str:
    return "; ".join(
        f"{_batch(kind.shape)}: {', '.join(map(_batch, kind.labels))}" for kind in kinds
    )


def _batch(shape: Sequence[int]) -> str:
    return f"[{', '.join(['B', *map(str, shape)])}]"
