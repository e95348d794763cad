"""Initialisers for layers that create several weights of one kind."""

import keras
import numpy as np


def derive_seed(*entropy: int) -> int:
    """Mixes integers into one seed; different integers give unrelated seeds.

    Args:
        *entropy: non-negative integers.
    """
    return int(np.random.SeedSequence(entropy).generate_state(1)[0] >> 1)


def fork(initializer: keras.initializers.Initializer, index: int) -> keras.initializers.Initializer:
    """Returns the `index`-th of a family of initialisers that draw different values.

    A Keras initialiser with a seed draws the same values for each weight of one shape. A layer with
    several weights gives each its own fork, so that a seeded layer is reproducible and its weights
    still differ.

    Args:
        initializer: the initialiser that the layer was given.
        index: which weight of the layer it is for.
    """
    config = initializer.get_config()
    if isinstance(config.get("seed"), int):
        config["seed"] = derive_seed(config["seed"], index)
    return type(initializer).from_config(config)
