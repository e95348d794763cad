"""An exported agent acts as the agent itself does, where the package is not."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from meta_learners.problems import network
from reinforcement.cells import CELLS, agent_of

import warptf


def test_it_acts_in_a_process_without_the_package(tmp_path: Path) -> None:
    agent = agent_of(CELLS["warp-rnn"]())
    learner = warptf.ContinualMetaLearner(agent)
    learner.export(tmp_path / "served")
    observations = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("float32")
    np.save(tmp_path / "observations.npy", observations)
    script = f"""
        import sys
        sys.modules["warptf"] = None
        sys.modules["keras"] = None
        import numpy as np, tensorflow as tf
        served = tf.saved_model.load({str(tmp_path / "served")!r})
        observations = np.load({str(tmp_path / "observations.npy")!r})
        act, logits, values = served.signatures["act"], [], []
        states = served.signatures["start"](episodes=tf.constant(3))
        for t in range(4):
            out = act(observation=tf.constant(observations[:, t]), **states)
            states = {{name: out[name] for name in states}}
            logits.append(out["logits"]), values.append(out["value"])
            assert (out["action"].numpy() == out["logits"].numpy().argmax(-1)).all()
        stacked = {{"logits": np.stack(logits, 1), "values": np.stack(values, 1)}}
        np.savez({str(tmp_path / "out.npz")!r}, **stacked)
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(script)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    logits, values = agent(observations)
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_allclose(out["logits"], logits, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(out["values"], values, rtol=1e-5, atol=1e-6)


def test_other_learners_predict(tmp_path: Path) -> None:
    model = network()
    warptf.ContinualMetaLearner(model).export(tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served"))
    x = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    np.testing.assert_allclose(served.predict(x)["predictions"], model(x), rtol=1e-5)
    with pytest.raises(FileExistsError, match="exists already"):
        warptf.ContinualMetaLearner(model).export(tmp_path / "served")
