"""A figure of merit says which way is better; whatever chooses, stops or ranks asks it."""

import math

import pytest

from warptf.train.engine.early_stopping import EarlyStopping, stops
from warptf.train.engine.figures import FIGURES, RANKING, Figure
from warptf.train.engine.selection import chosen, gain
from warptf.train.experiments import EXPERIMENTS
from warptf.train.tune import report


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_experiments_are_judged_by_known_figures(name: str) -> None:
    program = EXPERIMENTS[name].load()
    assert program.monitored in RANKING
    assert set(program.objectives) <= set(FIGURES)


def test_a_new_figure_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FIGURES, "regret", Figure("regret", "min", digits=1))
    rows = [{"trial": n, "meta_steps": 4, "regret": value} for n, value in enumerate([2, 1, 3])]
    assert chosen(rows, "regret") is rows[1] and report.best_row(rows, "regret") is rows[1]
    assert gain([1.0, 2.0], [3.0, 4.0], "regret") == (2.0, 0.0)
    assert stops([1.0, 2.0, 3.0], 2, "regret") and not stops([3.0, 2.0, 1.0], 2, "regret")
    assert EarlyStopping(2, "regret").mode == "min"
    assert FIGURES["regret"].show(1.26) == "1.3"


def test_direction_and_format() -> None:
    assert FIGURES["accuracy"].signed(0.5) == 0.5 and FIGURES["loss"].signed(0.5) == -0.5
    assert FIGURES["seconds"].show(59.6) == "60" and FIGURES["loss"].show(math.pi) == "3.142"
    assert RANKING == ("accuracy", "reward", "loss")
