"""SavedModels that adapt and predict where neither the package nor the classes are known."""

import re
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from meta_learners.problems import classification_tasks, cross_entropy, network, stream

import warptf
from warptf.inner_optimizers import SGD, LearnedSGD

LABELS = tf.TensorSpec([None], tf.int32)


class Unknown(warptf.WarpLayer):
    """A class that the serving process cannot have."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones")

    def call(self, inputs):
        return self.scale * inputs


@pytest.fixture(scope="module")
def learner():
    plain = network(warp=False, batch_norm=True)
    model = warptf.interleave(plain, after=["norm"], warp=Unknown)
    learner = warptf.WarpLeap(model, LearnedSGD(0.2, momentum=0.5), 3, algorithm="online")
    learner.compile("sgd", cross_entropy(), ["accuracy"])
    learner.fit(stream(1), verbose=0)
    return learner


@pytest.fixture(scope="module")
def episode():
    task = classification_tasks(1, None, batch=7)
    return task.support[0][0], task.support[1][0], task.query[0][0]


@pytest.fixture(scope="module")
def served(learner, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "deep" / "served"
    learner.export(folder)
    return folder


def test_serves_where_the_package_cannot_be_imported(learner, served, episode, tmp_path):
    x, y, query = episode
    adapted = learner.adapt(x, y, steps=2)
    np.savez(tmp_path / "episode.npz", x=x, y=y, query=query)
    script = f"""
        import sys
        sys.modules["warptf"] = sys.modules["keras"] = None
        import numpy as np, tensorflow as tf
        data = np.load({str(tmp_path / "episode.npz")!r})
        model = tf.saved_model.load({str(served)!r})
        x, y, query, steps = (tf.constant(data[n]) for n in ("x", "y", "query")), None, None, None
        x, y, query = x
        steps = tf.constant(2)
        fresh = model.predict(query)["predictions"]
        functional = model.adapt_and_predict(x, y, query, steps)["predictions"]
        untouched = model.predict(query)["predictions"]
        model.adapt(x, y, steps)
        kept = model.predict(query)["predictions"]
        model.adapt(x, y, steps)
        again = model.predict(query)["predictions"]
        signatures = model.signatures
        assert sorted(signatures) == ["adapt", "adapt_and_predict", "predict"], sorted(signatures)
        named = signatures["adapt_and_predict"](
            support_x=x, support_y=y, query_x=query, steps=steps)["predictions"]
        signatures["adapt"](support_x=x, support_y=y, steps=tf.constant(0))
        reset = signatures["predict"](x=query)["predictions"]
        np.savez({str(tmp_path / "out.npz")!r}, fresh=fresh, functional=functional,
            untouched=untouched, kept=kept, again=again, named=named, reset=reset)
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(tmp_path / "out.npz") as out:
        expected = adapted(query).numpy()
        for name in ("functional", "kept", "again", "named"):
            np.testing.assert_allclose(out[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)
        assert np.abs(out["fresh"] - expected).max() > 1e-3
        for name in ("untouched", "reset"):
            np.testing.assert_allclose(out[name], out["fresh"], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(("examples", "queries", "steps"), [(2, 1, 3), (7, 7, 1), (1, 4, 6)])
def test_any_number_of_examples_and_steps_is_served(
    learner, served, episode, examples, queries, steps
):
    x, y, query = (part[:n] for part, n in zip(episode, (examples, examples, queries), strict=True))
    model = tf.saved_model.load(str(served))
    found = model.adapt_and_predict(x, y, query, steps)["predictions"].numpy()
    expected = learner.adapt(x, y, steps=steps)(query)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    again = model.adapt_and_predict(x, y, query, steps)["predictions"].numpy()
    np.testing.assert_array_equal(found, again)


def test_signatures_are_those_that_a_server_reads(served):
    # What the command saved_model_cli runs.
    command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "show"]
    shown = subprocess.run(
        [*command, "--dir", served, "--tag_set", "serve", "--all"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    parts = re.split(r"signature_def\['(\w+)'\]:", shown.split("Concrete Functions")[0])
    signatures = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert {"adapt_and_predict", "adapt", "predict"} <= set(signatures)
    text = signatures["adapt_and_predict"]
    found = re.findall(r"puts\['(\w+)'\].*?dtype: (\w+)\s+shape: \((.*?)\)", text, re.DOTALL)
    assert sorted(found) == [
        ("predictions", "DT_FLOAT", "-1, 3"),
        ("query_x", "DT_FLOAT", "-1, 2"),
        ("steps", "DT_INT32", ""),
        ("support_x", "DT_FLOAT", "-1, 2"),
        ("support_y", "DT_INT32", "-1"),
    ]


def test_training_on_does_not_change_what_was_exported(episode, tmp_path):
    learner = warptf.OnlineMetaLearner(network(), SGD(0.1), 2)
    learner.compile(keras.optimizers.SGD(1.0), cross_entropy())
    learner.export(tmp_path / "served", LABELS)
    model = tf.saved_model.load(str(tmp_path / "served"))
    before = learner(episode[0])
    learner.fit(stream(1), verbose=0)
    np.testing.assert_allclose(model.predict(episode[0])["predictions"], before, rtol=1e-4)
    assert np.abs(learner(episode[0]) - before).max() > 1e-4


def test_a_folder_that_holds_something_is_refused_and_left_alone(learner, tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"served exists already: name a new or empty folder"):
        learner.export(tmp_path / "served")
    assert [p.name for p in tmp_path.rglob("*")] == ["served", "notes.txt"]
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(FileExistsError, match="file exists already"):
        learner.export(str(file))
    assert file.read_text() == "mine"


def test_nothing_is_left_where_writing_fails(learner, tmp_path, monkeypatch):
    def fail(served, folder, **kwargs):
        with open(f"{folder}/half", "w") as file:
            file.write("half")
        raise OSError("no space left on device")

    (tmp_path / "served").mkdir()
    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(OSError, match="no space left"):
        learner.export(tmp_path / "served")
    assert [p.name for p in tmp_path.rglob("*")] == ["served"]


def test_an_empty_folder_is_filled(learner, tmp_path):
    (tmp_path / "served").mkdir()
    learner.export(tmp_path / "served")
    assert (tmp_path / "served" / "saved_model.pb").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["served"]


def test_uncompiled_or_without_targets_is_refused(tmp_path):
    learner = warptf.OnlineMetaLearner(network(), SGD(0.1), 2)
    with pytest.raises(ValueError, match="compile the meta-learner before export"):
        learner.export(tmp_path / "served")
    learner.compile("sgd", cross_entropy())
    with pytest.raises(ValueError, match="pass label_spec"):
        learner.export(tmp_path / "served")
    assert not list(tmp_path.iterdir())
