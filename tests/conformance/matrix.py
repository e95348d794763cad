"""The matrix: what the package has, in each way of storing and running it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from conformance import layer_checks, learner_checks
from conformance.layer_rows import layer_rows
from conformance.learner_rows import learner_examples

LAYER, LEARNER = "layer", "meta-learner"
COLUMNS = tuple(learner_checks.CHECKS)

# Cells of each column, and of each sort of row, that the ordinary tests check.
ORDINARY = {
    ".keras": (
        "ContextFiLM (image)",
        "WarpRNNCell",
        "OnlineMetaLearner (LearnedSGD)",
        "OfflineMetaLearner (exact)",
    ),
    "SavedModel": (
        "WarpConv2D (norm)",
        "Displacement",
        "ContinualMetaLearner (tasks)",
        "ContinualMetaLearner (agent)",
        "WarpLeap (online)",
    ),
    "tf.function": (
        "WarpResidualDense",
        "MaxPooling2D",
        "WarpLSTMCell (rnn)",
        "OnlineMetaLearner (Leap)",
    ),
    "XLA": (
        "BatchNormalization",
        "WarpDense (tanh)",
        "WarpResidualConv2D",
        "OnlineMetaLearner (first order)",
    ),
    "mirrored ×2": (
        "WarpScale",
        "Warp (norm)",
        "MultiHeadFinetuning",
        "ContinualMetaLearner (tasks, finite difference)",
    ),
    "mixed_bfloat16": ("WarpFiLM", "FiLMTaskEmbedding", "Warp (lstm)", "WarpMAML"),
    "mixed_float16": (
        "WarpDense",
        "WarpFiLM",
        "WarpConv2D (norm)",
        "WarpRNNCell",
        "OnlineMetaLearner (MAML)",
    ),
    "vectorised": ("WarpConv2D", "ClassMeanHead (cosine)", "MultiHeadFinetuning"),
}


class Cell(NamedTuple):
    """One row in one column.

    Attributes:
        kind: `"layer"` or `"meta-learner"`.
        row: name of what is checked.
        column: name of the way to store or run it.
        check: `check(folder)` fails where it does not hold; the folder is empty.
    """

    kind: str
    row: str
    column: str
    check: Callable[[Path], None]

    @property
    def ordinary(self) -> bool:
        """Whether the ordinary tests check it."""
        return self.row in ORDINARY[self.column]


def cells() -> list[Cell]:
    """Every cell, row by row."""
    assert tuple(layer_checks.CHECKS) == COLUMNS
    parts = (
        (LAYER, layer_rows(), layer_checks.CHECKS),
        (LEARNER, learner_examples(), learner_checks.CHECKS),
    )
    return [
        Cell(kind, row, column, lambda folder, check=check, example=example: check(example, folder))
        for kind, rows, checks in parts
        for row, example in rows.items()
        for column, check in checks.items()
    ]
