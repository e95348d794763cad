"""LiteRT files of adapted learners."""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import tensorflow as tf

from warptf.export import named_outputs, named_specs, save_whole
from warptf.literals import Quantization
from warptf.litert.folding import fold_pooled_norms
from warptf.partition import FunctionalLearner, input_spec, iterate_layers, output_spec
from warptf.reinforcement.recurrent_agent import RecurrentAgent
from warptf.reinforcement.served_agent import export_agent
from warptf.resources import resources

_LACKING = re.compile(r"'tf\.(\w+)' op is neither a custom op nor a flex op")

Examples = list[dict[str, np.ndarray]]

_LOOKUPS = (
    keras.layers.IntegerLookup,
    keras.layers.StringLookup,
    keras.layers.TextVectorization,
)


def export_litert(
    model: keras.Model,
    path: Any,
    quantization: Quantization = "float32",
    representative: Any = None,
) -> None:
    """Writes an adapted learner as a LiteRT (TensorFlow Lite) file, whole or not at all.

    The file holds constants only: it predicts for the task that the learner was adapted to. Its
    signature `predict(x)` returns `predictions`, for any batch size; of a model of several inputs
    or outputs it takes and returns each by its name. Batch norm is folded into convolutions, also
    through a max-pooling between the two; batch norm before a padded convolution, as in some warps,
    is a multiplication and an addition. Of a `RecurrentAgent` the
    signature is one step, `act(observation, state_0, ...)`, which returns `logits`, `value`, the
    likeliest `action` and the states to go on with; episodes start from
    `agent.initial_states(batch_size)`.

    With `"int8"`, weights and activations are integers of 8 bits within, their ranges those that
    the representative inputs lead to; inputs and outputs stay `float32`.

    Args:
        model: what `learner.adapt(x, y)` returned, or a `RecurrentAgent`.
        path: file to write; it must not exist.
        quantization: `"float32"` or `"int8"`. Defaults to `"float32"`.
        representative: inputs `[N, ...]` such as the support set's, for `"int8"` only; for a model
            of several inputs a structure or dict of them, for an agent the observations of
            episodes, `[N, T, O]`.

    Raises:
        FileExistsError: there is something at `path`.
        ValueError: an argument does not fit, or LiteRT lacks operations of the model.
        OSError: the file cannot be written.

    Example:
        >>> import pathlib, tempfile, warptf
        >>> model = warptf.models.sine_learner(units=4, layers=1, warp_units=2)
        >>> file = pathlib.Path(tempfile.mkdtemp(), "sine.tflite")
        >>> warptf.export_litert(model, file)
        >>> file.read_bytes()[4:8]
        b'TFL3'
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} exists already: name a new file for the export.")
    if quantization not in get_args(Quantization):
        raise ValueError(f"quantization must be 'float32' or 'int8', got {quantization!r}.")
    examples = _examples(model, quantization, representative)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as aside:
        signature = _save(model, Path(aside, "saved_model"))
        file = Path(aside, path.name)
        try:
            content = _converted(Path(aside, "saved_model"), signature, examples)
        except Exception as error:
            # TensorFlow has no public name for the class.
            if type(error).__name__ != "ConverterError":
                raise
            raise ValueError(_lacking(model, error)) from error
        file.write_bytes(content)
        os.replace(file, path)


def _examples(model: keras.Model, quantization: Quantization, given: Any) -> Examples | None:
    """Returns inputs one by one, of which the ranges of integers are learned; `None` for floats."""
    if quantization == "float32":
        if given is not None:
            raise ValueError("representative inputs are for quantization='int8': leave them out.")
        return None
    if given is None:
        raise ValueError(
            "quantization='int8' needs representative inputs, from which the ranges of its "
            "integers are learned: pass representative=x_support."
        )
    if isinstance(model, RecurrentAgent):
        spec = tf.TensorSpec((None, None, model.observation_size), tf.float32)
        return list(_lived(model, _representative("representative", given, spec)))
    arrays = {
        name.removeprefix("representative."): _representative(name, values, spec)
        for name, values, spec in _inputs_by_name(given, input_spec(model))
    }
    counts = {len(values) for values in arrays.values()}
    if len(counts) > 1:
        raise ValueError(f"representative must hold as many of each input, got {counts}.")
    return [
        {name: values[i : i + 1] for name, values in arrays.items()} for i in range(counts.pop())
    ]


def _inputs_by_name(given: Any, spec: Any) -> list[tuple[str, Any, tf.TensorSpec]]:
    """Returns what is given for each input, by the name of the signature's argument."""
    specs = keras.tree.flatten(named_specs(spec, "x", by_name=True))
    if not keras.tree.is_nested(spec):
        return [("representative.x", given, specs[0])]
    if isinstance(given, dict):
        missing = {s.name for s in specs} - set(given)
        values = [] if missing else [given[s.name] for s in specs]
    else:
        values = keras.tree.flatten(given)
    if len(values) != len(specs):
        raise ValueError(
            f"representative must hold the model's inputs {[s.name for s in specs]}, got "
            f"{list(given) if isinstance(given, dict) else len(values)}."
        )
    return [(f"representative.{s.name}", v, s) for s, v in zip(specs, values, strict=True)]


def _representative(name: str, given: Any, spec: tf.TensorSpec) -> np.ndarray:
    name = name.removesuffix(".x")
    inputs = np.asarray(given, spec.dtype.as_numpy_dtype)
    if not inputs.size or not spec.shape.is_compatible_with(inputs.shape):
        raise ValueError(
            f"{name} must have the shape {tuple(spec.shape)} of the model's inputs and hold at "
            f"least one, got {inputs.shape}."
        )
    if not np.isfinite(inputs).all():
        raise ValueError(f"{name} has values that are not finite: leave them out.")
    return inputs


def _lived(agent: RecurrentAgent, observations: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Yields the inputs of each step of episodes whose observations are known."""
    for episode in observations[:, :, np.newaxis]:
        states = agent.initial_states(1)
        for observation in episode:
            named = {f"state_{i}": np.asarray(state) for i, state in enumerate(states)}
            yield {"observation": observation, **named}
            states = tf.nest.flatten(agent.cell(observation, states)[1])


def _save(model: keras.Model, folder: Path) -> str:
    """Writes a SavedModel and returns the name of its signature that is to be converted."""
    if isinstance(model, RecurrentAgent):
        export_agent(FunctionalLearner(model), folder)
        return "act"
    learner = FunctionalLearner(fold_pooled_norms(model))
    parts = (
        learner.theta_variables,
        learner.partition.warp_variables,
        learner.partition.state_variables,
    )
    # Constants, which the converter computes with.
    theta, phi, state = ([tf.constant(v.numpy()) for v in part] for part in parts)

    outputs = output_spec(learner.model)

    def predict(x: Any) -> dict[str, tf.Tensor]:
        predictions = learner(theta, phi, state, x, training=False).predictions
        return named_outputs(predictions, outputs)

    named = named_specs(input_spec(learner.model), "x", by_name=True)
    function = tf.function(predict, input_signature=[named], autograph=False)
    module = tf.Module()
    module.resources = resources(learner.model)
    save_whole(module, folder, {"predict": function.get_concrete_function()})
    return "predict"


def _converted(folder: Path, signature: str, examples: Examples | None) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[signature])
    if examples is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: iter(examples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return converter.convert()


def _lacking(model: keras.Model, error: Exception) -> str:
    """Returns a line that says what of a model LiteRT cannot do."""
    names = sorted(set(_LACKING.findall(str(error))))
    what = f"LiteRT has no operations {', '.join(names)}" if names else str(error).splitlines()[0]
    looks_up = [layer.name for _, layer in iterate_layers(model) if isinstance(layer, _LOOKUPS)]
    remedy = "export a SavedModel, by learner.export(folder)"
    if looks_up:
        remedy += (
            f"; or give numbers to a model without the layers {', '.join(looks_up)}, which look up "
            "words or numbers, and look these up before it"
        )
    return f"model {model.name!r} cannot be written as a LiteRT file: {what}. Instead, {remedy}."
