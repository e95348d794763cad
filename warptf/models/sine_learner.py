"""The learner of the sine experiments."""

import keras

from warptf.layers.initializers import derive_seed
from warptf.layers.validation import optional_positive_integer, positive_integer
from warptf.layers.warp_residual_dense import WarpResidualDense
from warptf.models.learner_parts import check_seed
from warptf.models.warp_architectures import glorot_uniform


def sine_learner(
    units: int = 200,
    layers: int = 3,
    warp_units: int | None = 100,
    seed: int = 0,
) -> keras.Model:
    r"""Builds the learner of the sine experiments: dense layers, residual warps between them.

    Each hidden layer of ReLU units is followed by a residual warp block $h + V \tanh(U h + c) + d$;
    a dense layer gives the prediction. The dense layers are adapted.

    Args:
        units: Units of each hidden layer. Defaults to 200, of the continual experiment; the classic
            few-shot one has 40.
        layers: Hidden layers. Defaults to 3; the classic experiment has 2.
        warp_units: Units of each warp block; `None` for no warps. Defaults to 100.
        seed: A non-negative integer from which all initial values derive. The dense layers' do not
            depend on the warps.

    Returns:
        A built `keras.Model` that maps `[B, 1]` to `[B, 1]`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> import warptf
        >>> model = warptf.models.sine_learner(units=8, warp_units=4)
        >>> parts = warptf.partition(model)
        >>> len(parts.task_variables), len(parts.warp_variables)
        (8, 12)

    Reference:
        Flennerhag et al., Meta-Learning with Warped Gradient Descent, arXiv 1909.00025, appendix J.
    """
    positive_integer("units", units)
    positive_integer("layers", layers)
    optional_positive_integer("warp_units", warp_units)
    check_seed(seed)
    x = inputs = keras.Input((1,), name="x")
    for layer in range(layers):
        initializer = glorot_uniform(derive_seed(seed, 0, layer))
        x = keras.layers.Dense(
            units, activation="relu", kernel_initializer=initializer, name=f"hidden_{layer}"
        )(x)
        if warp_units is not None:
            initializer = glorot_uniform(derive_seed(seed, 1, layer))
            x = WarpResidualDense(warp_units, kernel_initializer=initializer, name=f"warp_{layer}")(
                x
            )
    initializer = glorot_uniform(derive_seed(seed, 0, layers))
    outputs = keras.layers.Dense(1, kernel_initializer=initializer, name="output")(x)
    return keras.Model(inputs, outputs, name="sine_learner")
