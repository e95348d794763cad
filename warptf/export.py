"""SavedModels that adapt and predict without this package."""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from warptf.adaptation import InnerProblem, InnerState, Parameters, TaskBatches, adapt
from warptf.compiled_loss import plain
from warptf.partition import FunctionalLearner, input_spec, output_spec
from warptf.request_checks import accepted
from warptf.resources import resources


class ServedLearner(tf.Module):
    """A meta-learned learner as a module of compiled functions and its own variables.

    Args:
        problem: the inner problem.
        label_spec: shape and type of the targets, `[B, ...]`, a structure for several outputs.
        steps: inner steps where the caller of a signature gives none.
        seed: two integers from which every adaptation's random numbers derive.
    """

    def __init__(self, problem: InnerProblem, label_spec: Any, steps: int, seed: tf.Tensor) -> None:
        super().__init__(name="served_learner")
        learner = problem.learner
        self._problem = problem
        # Integers, which the compiled functions hold as constants.
        self._seed = [int(part) for part in seed]
        self._start_theta = constants(learner.initial_theta(), "start")
        self._phi = constants(learner.warp_values(), "phi")
        self._hyper = constants(problem.optimizer.hyper_values(), "hyper")
        self._resources = resources(learner.model)
        state = learner.initial_state(seed)
        self._start_state = constants(state, "start_state")
        self._theta = [tf.Variable(v, name=f"theta_{i}") for i, v in enumerate(self._start_theta)]
        self._state = [tf.Variable(v, name=f"state_{i}") for i, v in enumerate(self._start_state)]
        x = input_spec(learner.model)
        y = _like(plain(label_spec), output_spec(learner.model))
        count = tf.TensorSpec((), tf.int32, name="steps")
        support = (named_specs(x, "support_x"), named_specs(y, "support_y"))
        self._support_specs = support
        self.adapt_and_predict = tf.function(
            self._adapt_and_predict,
            input_signature=[*support, named_specs(x, "query_x"), count],
            autograph=False,
        )
        self.adapt = tf.function(self._adapt, input_signature=[*support, count], autograph=False)
        self.predict = tf.function(
            self._predict, input_signature=[named_specs(x, "x", by_name=True)], autograph=False
        )

    def _run(self, support_x: Any, support_y: Any, steps: tf.Tensor) -> InnerState:
        problem, support = self._problem, (support_x, support_y)
        moving, phi, hyper, state = (
            [tf.convert_to_tensor(v) for v in values]
            for values in (self._start_theta, self._phi, self._hyper, self._start_state)
        )
        parameters = Parameters(*problem.learner.split(moving), phi, hyper)
        start = problem.start(parameters, tf.constant(self._seed), support, state)
        return adapt(problem, start, TaskBatches(support), steps).final

    def _accepted(self, support_x: Any, support_y: Any, steps: tf.Tensor) -> tuple[Any, Any, Any]:
        labels = self._problem.class_labels(support_y)
        # TensorFlow tracks structures that modules hold, by kinds of its own.
        return accepted((support_x, support_y), steps, plain(self._support_specs), labels)

    def _forward(self, theta: Any, state: Any, x: Any) -> dict[str, Any]:
        phi = [tf.convert_to_tensor(v) for v in self._phi]
        predictions = self._problem.predict(theta, phi, state, x)
        return named_outputs(predictions, output_spec(self._problem.learner.model))

    def _adapt_and_predict(
        self, support_x: Any, support_y: Any, query_x: Any, steps: tf.Tensor
    ) -> dict[str, Any]:
        """Adapts to a support set and predicts a query set; the artefact stays as it is."""
        support_x, support_y, steps = self._accepted(support_x, support_y, steps)
        final = self._run(support_x, support_y, steps)
        return self._forward(final.moving, final.state, query_x)

    def _adapt(self, support_x: Any, support_y: Any, steps: tf.Tensor) -> dict[str, tf.Tensor]:
        """Adapts to a support set and keeps the adapted weights for `predict`."""
        support_x, support_y, steps = self._accepted(support_x, support_y, steps)
        final = self._run(support_x, support_y, steps)
        for variable, value in zip(self._theta, final.moving, strict=True):
            variable.assign(value)
        for variable, value in zip(self._state, final.state, strict=True):
            variable.assign(value)
        return {"steps": tf.identity(steps)}

    def _predict(self, x: Any) -> dict[str, Any]:
        """Predicts with the weights that `adapt` kept last, or the meta-learned ones."""
        theta = [tf.convert_to_tensor(v) for v in self._theta]
        state = [tf.convert_to_tensor(v) for v in self._state]
        return self._forward(theta, state, x)


def export_learner(
    problem: InnerProblem,
    path: Any,
    label_spec: Any,
    steps: int,
    seed: tf.Tensor,
    **kwargs: Any,
) -> None:
    """Writes a `ServedLearner` as a SavedModel, whole or not at all.

    Args:
        problem: the inner problem.
        path: folder to write.
        label_spec: shape and type of the targets, `[B, ...]`, a structure for several outputs.
        steps: the usual number of inner steps.
        seed: two integers from which every adaptation's random numbers derive.
        **kwargs: options of `tf.saved_model.save`.

    Raises:
        FileExistsError: the folder is there and holds something.
        OSError: it cannot be written.
    """
    served = ServedLearner(problem, label_spec, steps, seed)
    signatures = {name: getattr(served, name) for name in ("adapt_and_predict", "adapt", "predict")}
    save_whole(served, path, signatures, **kwargs)


def export_predictor(learner: FunctionalLearner, path: Any, **kwargs: Any) -> None:
    """Writes a learner that does not adapt as a SavedModel that predicts, whole or not at all.

    Args:
        learner: the functional view of a model.
        path: folder to write.
        **kwargs: options of `tf.saved_model.save`.

    Raises:
        FileExistsError: the folder is there and holds something.
        OSError: it cannot be written.
    """
    module = tf.Module(name="served_predictor")
    module.values = [
        constants(values, name)
        for name, values in (
            ("theta", learner.initial_theta()),
            ("phi", learner.warp_values()),
            ("state", learner.initial_state(tf.constant([0, 0]))),
        )
    ]

    module.resources = resources(learner.model)

    def predict(x: Any) -> dict[str, Any]:
        theta, phi, state = tf.nest.map_structure(tf.convert_to_tensor, list(module.values))
        predictions = learner(theta, phi, state, x, training=False).predictions
        return named_outputs(predictions, output_spec(learner.model))

    spec = named_specs(input_spec(learner.model), "x", by_name=True)
    module.predict = tf.function(predict, input_signature=[spec], autograph=False)
    save_whole(module, path, {"predict": module.predict}, **kwargs)


def save_whole(module: tf.Module, path: Any, signatures: dict[str, Any], **kwargs: Any) -> None:
    """Writes a module as a SavedModel, whole or not at all.

    Args:
        module: the module.
        path: folder to write.
        signatures: its functions that are to be served, by name.
        **kwargs: options of `tf.saved_model.save`.

    Raises:
        FileExistsError: the folder is there and holds something.
        OSError: it cannot be written.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"{path} exists already: name a new or empty folder for the export.")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        tf.saved_model.save(module, aside, signatures=signatures, **kwargs)
        if path.exists():
            path.rmdir()
        os.chmod(aside, 0o777 & ~_umask())
        os.replace(aside, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def constants(values: Any, name: str) -> list[tf.Variable]:
    """Returns values as variables of a module, which nothing moves.

    Args:
        values: tensors.
        name: what they are.
    """
    return [tf.Variable(v, trainable=False, name=f"{name}_{i}") for i, v in enumerate(values)]


def named_specs(spec: Any, prefix: str, by_name: bool = False) -> Any:
    """Returns specs with the names under which a signature takes them.

    Args:
        spec: a `TensorSpec`, or a structure of such with names of their own.
        prefix: the name of a single tensor, and what the names of several start with.
        by_name: whether several have their own names alone.
    """
    flat = keras.tree.flatten_with_path(spec)
    named = []
    for path, own in flat:
        word = own.name or "_".join(map(str, path))
        name = (word if by_name else f"{prefix}_{word}") if path else prefix
        # What TensorFlow takes for a name of a placeholder.
        named.append(tf.TensorSpec(own.shape, own.dtype, re.sub(r"[^A-Za-z0-9_]", "_", name)))
    # Data sets yield tuples, never lists.
    return keras.tree.lists_to_tuples(keras.tree.pack_sequence_as(spec, named))


def named_outputs(predictions: Any, spec: Any) -> dict[str, Any]:
    """Returns what a signature returns: predictions, or each output by its name.

    Args:
        predictions: a tensor or a structure of tensors.
        spec: `output_spec` of the model.
    """
    specs, values = keras.tree.flatten(spec), keras.tree.flatten(predictions)
    if not keras.tree.is_nested(spec):
        return {"predictions": values[0]}
    return {own.name: value for own, value in zip(specs, values, strict=True)}


def _like(labels: Any, outputs: Any) -> Any:
    """Returns specs of targets with the names of the outputs, where there is one for each."""
    flat, names = keras.tree.flatten(labels), keras.tree.flatten(outputs)
    if len(flat) != len(names) or not keras.tree.is_nested(labels):
        return labels
    named = [tf.TensorSpec(s.shape, s.dtype, o.name) for s, o in zip(flat, names, strict=True)]
    return keras.tree.pack_sequence_as(labels, named)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
