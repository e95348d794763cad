"""Which variables belong to one layer."""

from collections.abc import Sequence

import keras


def layer_numbers(variables: Sequence[keras.Variable]) -> list[int]:
    """Returns the number of the layer that each variable belongs to, counted from 0.

    Args:
        variables: variables of a model, in its order.
    """
    # A layer's variables follow one another. Layers of two models may have the same path: a
    # variable that was seen already begins another layer.
    numbers: list[int] = []
    owner, seen = None, set[str]()
    for variable in variables:
        path = variable.path.rpartition("/")[0]
        if path != owner or variable.path in seen:
            owner, seen = path, set()
            numbers.append(numbers[-1] + 1 if numbers else 0)
        else:
            numbers.append(numbers[-1])
        seen.add(variable.path)
    return numbers
