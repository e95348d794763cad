"""SavedModels that adapt and predict without this package."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from warptf.adaptation import Adaptation, InnerState
from warptf.partition import FunctionalLearner, input_spec
from warptf.resources import resources


class ServedLearner(tf.Module):
    """A meta-learned learner as a module of compiled functions and its own variables.

    Args:
        problem: the inner problem.
        label_spec: shape and type of the targets, `[B, ...]`.
        steps: inner steps where the caller of a signature gives none.
        seed: two integers from which every adaptation's random numbers derive.
    """

    def __init__(
        self, problem: Adaptation, label_spec: tf.TensorSpec, steps: int, seed: tf.Tensor
    ) -> None:
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
        x, y = input_spec(learner.model), label_spec
        count = tf.TensorSpec((), tf.int32, name="steps")
        support = (_named(x, "support_x"), _named(y, "support_y"))
        self.adapt_and_predict = tf.function(
            self._adapt_and_predict,
            input_signature=[*support, _named(x, "query_x"), count],
            autograph=False,
        )
        self.adapt = tf.function(self._adapt, input_signature=[*support, count], autograph=False)
        self.predict = tf.function(self._predict, input_signature=[_named(x, "x")], autograph=False)

    def _run(self, support_x: Any, support_y: Any, steps: tf.Tensor) -> InnerState:
        problem, phi = self._problem, [tf.convert_to_tensor(v) for v in self._phi]
        hyper = [tf.convert_to_tensor(v) for v in self._hyper]
        theta = [tf.convert_to_tensor(v) for v in self._start_theta]
        start = InnerState(
            theta,
            problem.start_optimizer(theta, tf.constant(self._seed)),
            [tf.convert_to_tensor(v) for v in self._start_state],
        )

        def body(k: tf.Tensor, inner: InnerState, carry: Any) -> tuple[InnerState, Any]:
            return problem.step(inner, phi, hyper, (support_x, support_y)).after, carry

        return problem.run(start, steps, body)[0]

    def _forward(self, theta: Any, state: Any, x: Any) -> Any:
        phi = [tf.convert_to_tensor(v) for v in self._phi]
        return self._problem.predict(theta, phi, state, x)

    def _adapt_and_predict(
        self, support_x: Any, support_y: Any, query_x: Any, steps: tf.Tensor
    ) -> dict[str, Any]:
        """Adapts to a support set and predicts a query set; the artefact stays as it is."""
        final = self._run(support_x, support_y, steps)
        return {"predictions": self._forward(final.theta, final.state, query_x)}

    def _adapt(self, support_x: Any, support_y: Any, steps: tf.Tensor) -> dict[str, tf.Tensor]:
        """Adapts to a support set and keeps the adapted weights for `predict`."""
        final = self._run(support_x, support_y, steps)
        for variable, value in zip(self._theta, final.theta, strict=True):
            variable.assign(value)
        for variable, value in zip(self._state, final.state, strict=True):
            variable.assign(value)
        return {"steps": tf.identity(steps)}

    def _predict(self, x: Any) -> dict[str, Any]:
        """Predicts with the weights that `adapt` kept last, or the meta-learned ones."""
        theta = [tf.convert_to_tensor(v) for v in self._theta]
        state = [tf.convert_to_tensor(v) for v in self._state]
        return {"predictions": self._forward(theta, state, x)}


def export_learner(
    problem: Adaptation,
    path: Any,
    label_spec: tf.TensorSpec,
    steps: int,
    seed: tf.Tensor,
    **kwargs: Any,
) -> None:
    """Writes a `ServedLearner` as a SavedModel, whole or not at all.

    Args:
        problem: the inner problem.
        path: folder to write.
        label_spec: shape and type of the targets, `[B, ...]`.
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
        return {"predictions": learner(theta, phi, state, x, training=False).predictions}

    spec = _named(input_spec(learner.model), "x")
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


def _named(spec: tf.TensorSpec, name: str) -> tf.TensorSpec:
    return tf.TensorSpec(spec.shape, spec.dtype, name=name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
