"""What of a model is trained, at the time at which its variables were sorted."""

from typing import Any

import keras

from warptf.partition import all_variables, iterate_layers


class TrainableState:
    """Remembers which layers and variables of a model are trained, to see whether that changes.

    Args:
        model: a built Keras model.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="head")])
        >>> state = TrainableState(model)
        >>> model.get_layer("head").trainable = False
        >>> state.check()
        Traceback (most recent call last):
        ...
        ValueError: layer 'head' of model ... has trainable=False, which was True when ...
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._layers, self._variables = self._now()

    def _now(self) -> tuple[dict[str, bool], list[Any]]:
        # A layer without weights does the same whether it is to be trained or not.
        layers = {path: v.trainable for path, v in iterate_layers(self._model) if v.weights}
        return layers, [(id(v), v.trainable) for v in all_variables(self._model)]

    def check(self) -> None:
        """Checks that the same variables are there and trained as before.

        Raises:
            ValueError: they are not.
        """
        layers, variables = self._now()
        name = self._model.name
        for path, before in self._layers.items():
            if layers.get(path, before) != before:
                raise ValueError(
                    f"layer {path!r} of model {name!r} has trainable={layers[path]}, which was "
                    f"{before} when the meta-learner was made and sorted the "
                    "variables: set trainable first, then make the meta-learner."
                )
        if variables != self._variables:
            raise ValueError(
                f"model {name!r} has other variables, or trains others, than when the "
                "meta-learner was made and sorted them (quantize and enable_lora make new ones): "
                "change the model first, then make the meta-learner."
            )
