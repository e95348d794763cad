"""Keras on another backend is named in one line, whether that backend is installed or not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(p for p in sys.path if p)}
MESSAGE = "warptf needs Keras on TensorFlow, and Keras' backend is {!r}: set the environment"


def run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**ENVIRONMENT, "HOME": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("backend", "what"), [("jax", "warptf"), ("torch", "warptf.layers"), ("numpy", "warptf.envs")]
)
def test_the_environment_names_another_backend(backend: str, what: str, tmp_path: Path) -> None:
    done = run(f"import {what}", tmp_path, KERAS_BACKEND=backend)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: " + MESSAGE.format(backend))
    assert "KERAS_BACKEND=tensorflow" in last
    # Neither Keras nor what it would run on was looked for.
    assert "No module" not in done.stderr


@pytest.mark.parametrize("home", [False, True])
def test_a_file_names_another_backend(home: bool, tmp_path: Path) -> None:
    folder = tmp_path / ("elsewhere" if home else ".keras")
    folder.mkdir()
    (folder / "keras.json").write_text(json.dumps({"backend": "jax"}))
    more = {"KERAS_HOME": str(folder)} if home else {}
    done = run("import warptf", tmp_path, **more)
    assert done.stderr.splitlines()[-1].startswith("ImportError: " + MESSAGE.format("jax"))


@pytest.mark.parametrize(
    ("text", "backend"), [('{"backend": "jax"}', "tensorflow"), ("no json", ""), ("[]", "")]
)
def test_otherwise_it_is_tensorflow(text: str, backend: str, tmp_path: Path) -> None:
    """Where the environment says so, or a file says nothing."""
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(text)
    module = Path(__file__).parents[1] / "warptf" / "keras_backend.py"
    code = f"import runpy; runpy.run_path({str(module)!r})"
    done = run(code, tmp_path, KERAS_BACKEND=backend)
    assert done.returncode == 0, done.stderr


def test_keras_was_imported_before(tmp_path: Path) -> None:
    # A stand-in, since the other backends are not here.
    (tmp_path / "keras.py").write_text(
        "class config:\n    backend = staticmethod(lambda: 'torch')\n"
    )
    done = run("import keras, warptf", tmp_path, PYTHONPATH=f".:{ENVIRONMENT['PYTHONPATH']}")
    assert done.stderr.splitlines()[-1].startswith("ImportError: " + MESSAGE.format("torch"))


def test_the_command_says_it_in_one_line(tmp_path: Path) -> None:
    code = (
        "import sys; from warptf_launcher.command import main; "
        "sys.argv = ['warptf', 'train', 'sine', '--preset', 'smoke']; raise SystemExit(main())"
    )
    done = run(code, tmp_path, KERAS_BACKEND="jax")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert done.stderr.startswith("warptf: error: " + MESSAGE.format("jax"))
