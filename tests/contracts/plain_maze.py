"""The maze written a second time, as a loop over one agent in plain Python."""

import numpy as np

MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1)]
Cell = tuple[int, int]


class PlainMaze:
    """One episode; where an agent is put on reaching the goal, it is told."""

    def __init__(self, size: int, goal: Cell, penalty: float = 0.0, length: int = 200) -> None:
        self.size, self.goal, self.penalty, self.length = size, goal, penalty, length
        self.centre = (size // 2, size // 2)
        inside = [(r, c) for r in range(1, size - 1) for c in range(1, size - 1)]
        self.free = {cell for cell in inside if cell[0] % 2 or cell[1] % 2} | {self.centre}
        self.position = self.centre
        self.time, self.reward = 0, 0.0
        self.action: int | None = None

    def step(self, action: int, relocation: Cell) -> None:
        row, column = (a + b for a, b in zip(self.position, MOVES[action], strict=True))
        self.reward = 0.0
        if (row, column) not in self.free:
            self.reward = -self.penalty
        elif (row, column) == self.goal:
            self.reward = 10.0
            self.position = relocation
        else:
            self.position = (row, column)
        self.time += 1
        self.action = action

    @property
    def observation(self) -> np.ndarray:
        row, column = self.position
        around = [
            float((r, c) not in self.free)
            for r in (row - 1, row, row + 1)
            for c in (column - 1, column, column + 1)
        ]
        last = [float(self.action == action) for action in range(4)]
        auxiliary = [1.0, self.time / self.length, self.reward, 0.0]
        return np.array([*around, *auxiliary, *last], np.float32)
