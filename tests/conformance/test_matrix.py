"""Every layer and meta-learner in every way of storing and running it.

All of it takes a quarter of an hour of one core that is free: `pytest tests/conformance -m ""`. The
ordinary tests take some cells of each column.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from conformance.exceptions import LIMITS, limit_of
from conformance.matrix import ORDINARY, Cell, cells

CELLS = cells()


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(
            cell, id=f"{cell.column}-{cell.row}", marks=[] if cell.ordinary else pytest.mark.slow
        )
        for cell in CELLS
    ],
)
def test_cell(cell: Cell, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    limit = limit_of(cell.row, cell.column)
    if limit is None:
        cell.check(tmp_path)
    else:
        with pytest.raises(limit.error, match=limit.match):
            cell.check(tmp_path)
    record_property("cell", [cell.row, cell.column])


def test_every_exception_and_every_ordinary_cell_is_of_the_matrix() -> None:
    known = [(cell.row, cell.column) for cell in CELLS]
    assert len(known) == len(set(known))
    excepted = [(row, limit.column) for limit in LIMITS for row in limit.rows]
    assert len(excepted) == len(set(excepted))
    ordinary = [(row, column) for column, rows in ORDINARY.items() for row in rows]
    assert not {*excepted, *ordinary} - set(known)
    assert not set(excepted) & set(ordinary)
