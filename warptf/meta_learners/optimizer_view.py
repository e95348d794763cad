"""Views of a Keras optimizer, each on the variables that move at one of its times.

The second of the two files that know private names of Keras: here those of an optimizer's state.
"""

from collections.abc import Sequence

import keras
from keras.optimizers import Optimizer

Counters = dict[str, keras.Variable]

# What an optimizer holds once, however many variables it has, and what it starts from: the number
# of its updates, and of Nadam a product over them.
_COUNTERS = {"_iterations": "zeros", "_u_product": "ones"}


def counters_of_its_own(optimizer: Optimizer, name: str) -> Counters:
    """Returns counters for variables that move at a time of their own.

    They are variables of the optimizer, made at the first call, and saved with it.

    Args:
        optimizer: a built optimizer.
        name: what moves.
    """
    made = {variable.name: variable for variable in optimizer.variables}
    counters = {}
    for attribute, start in _COUNTERS.items():
        shared = vars(optimizer).get(attribute)
        if shared is None:
            continue
        own = f"{name}{attribute}"
        if own not in made:
            made[own] = optimizer.add_variable(
                (), start, shared.dtype, aggregation="only_first_replica", name=own
            )
        counters[attribute] = made[own]
    return counters


def view(
    optimizer: Optimizer, variables: Sequence[keras.Variable], counters: Counters
) -> Optimizer:
    """Returns an optimizer as it is for some of its variables.

    It shares all with the optimizer, its rate, slots and exclusions, but for the counters given,
    and keeps averages and gathers gradients of these variables alone.

    Args:
        optimizer: a built optimizer.
        variables: some of those it was built on.
        counters: what takes the place of its own.
    """
    ids = {id(variable) for variable in variables}
    chosen = [id(variable) in ids for variable in optimizer._trainable_variables]

    def some(values: Sequence[keras.Variable]) -> list[keras.Variable]:
        return [value for value, own in zip(values, chosen, strict=True) if own]

    state = {**vars(optimizer), **counters}
    state["_trainable_variables"] = some(optimizer._trainable_variables)
    if optimizer.use_ema:
        averages = some(optimizer._model_variables_moving_average)
        state["_model_variables_moving_average"] = averages
    if optimizer.gradient_accumulation_steps:
        # Keras finds these by the number of the variable.
        gathered = zip(optimizer._accumulated_gradients, chosen, strict=True)
        state["_accumulated_gradients"] = [value if own else None for value, own in gathered]
    seen = object.__new__(type(optimizer))
    # Past Keras' own setter, which looks for things to track.
    vars(seen).update(state)
    return seen


def variables_of(optimizer: Optimizer) -> list[keras.Variable]:
    """Returns the variables that an optimizer was built on, in that order.

    Args:
        optimizer: a built optimizer.
    """
    return list(optimizer._trainable_variables)


def start_averages(optimizer: Optimizer) -> None:
    """Lets the averages of variables that have not moved yet be these variables' values.

    Keras begins them with the first update, and at the end of `fit` would write zeros over
    variables for which there was none.

    Args:
        optimizer: a built optimizer, or a view of one.
    """
    if not optimizer.use_ema or optimizer._iterations.numpy():
        return
    averages = optimizer._model_variables_moving_average
    for variable, average in zip(optimizer._trainable_variables, averages, strict=True):
        if average is not None:
            average.assign(variable)
