"""A learner of Omniglot, served: a new alphabet is learned where the package is not."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from warptf.train.command.cli import main
from warptf.train.experiments.multi_shot.config import MultiShotConfig
from warptf.train.experiments.multi_shot.experiment import MultiShotExperiment

SCRIPT = """
    import sys
    sys.modules["warptf"] = sys.modules["keras"] = None
    import numpy as np, tensorflow as tf
    data, served = np.load("alphabet.npz"), tf.saved_model.load("served")
    out = served.adapt_and_predict(data["x"], data["y"], data["query"], 10)["predictions"]
    np.save("predictions.npy", out)
"""


@pytest.mark.slow
def test_a_new_alphabet_is_learned_in_a_bare_process(
    prepared_omniglot: Path, tmp_path: Path
) -> None:
    run, support = tmp_path / "run", tmp_path / "alphabet.npz"
    flags = ["--data", "omniglot", "--data-dir", str(prepared_omniglot), "--preset", "smoke"]
    assert main(["train", "multi-shot", *flags, "--run-dir", str(run)]) == 0
    config = MultiShotConfig.from_json(json.loads((run / "config.json").read_text()))
    task = next(iter(MultiShotExperiment().build_tasks(config).test))
    (x, y), query = (part[0].numpy() for part in task.support), task.query[0][0].numpy()
    # No more than a mini-batch, which the command adapts to as a whole, as the SavedModel does.
    x, y = x[0], y[0]
    np.savez(support, x=x, y=y, query=query)
    adapted = keras.models.load_model(run / "model.keras").adapt(x, y, steps=10)
    expected = adapted(query, training=False).numpy()
    scale = np.abs(expected).max()

    assert main(["export", str(run), str(tmp_path / "served")]) == 0
    bare = [sys.executable, "-I", "-c", textwrap.dedent(SCRIPT)]
    done = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = np.load(tmp_path / "predictions.npy")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * scale)

    out = tmp_path / "learner.tflite"
    litert = ["--format", "litert", "--support", str(support), "--steps", "10"]
    assert main(["export", str(run), str(out), *litert]) == 0
    found = Interpreter(str(out)).get_signature_runner("predict")(x=query)["predictions"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * scale)
