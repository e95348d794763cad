"""What is asked of every layer beside the matrix: loading elsewhere."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from conformance.layer_checks import learner_model
from conformance.layer_rows import layer_rows
from contracts.layer import Example, batch

from warptf.partition import partition

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def user_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module of a user of the library, with a warp layer of their own."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "their_layers.py").write_text(
        textwrap.dedent(
            """
            import warptf

            class Shift(warptf.WarpLayer):
                def build(self, input_shape):
                    self.shift = self.add_weight(shape=(input_shape[-1],), initializer="ones")

                def call(self, inputs):
                    return inputs + self.shift
            """
        )
    )
    return folder


def test_another_process_loads_every_layer_without_custom_objects(
    user_module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(user_module)
    from their_layers import Shift

    theirs = Example(Shift, (3,))
    examples = {**layer_rows(), "their_layers": theirs}
    for name, example in examples.items():
        model = learner_model(example)
        model.save(tmp_path / f"{name}.keras")
        np.save(tmp_path / f"{name}.x.npy", batch(example.input_shape))
        np.save(tmp_path / f"{name}.y.npy", model(batch(example.input_shape)))
        np.save(tmp_path / f"{name}.warp.npy", len(partition(model).warp_variables))
    script = """
        import pathlib, sys
        import keras, numpy as np, their_layers, warptf

        for file in pathlib.Path(sys.argv[1]).glob("*.keras"):
            model = keras.models.load_model(file)
            stored = {k: np.load(file.with_suffix(f".{k}.npy")) for k in ("x", "y", "warp")}
            np.testing.assert_allclose(model(stored["x"]), stored["y"], rtol=1e-6, atol=1e-6)
            assert len(warptf.partition(model).warp_variables) == stored["warp"], file
            print(file.stem)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        env={"PYTHONPATH": f"{ROOT}:{user_module}", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) == set(examples)
