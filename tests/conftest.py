import os
from pathlib import Path

import hypothesis
import pytest
import tensorflow as tf

# Four devices, so that strategies can be tested; it must be said before TensorFlow starts.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 4
)

hypothesis.settings.register_profile("warptf", deadline=None, derandomize=True)
hypothesis.settings.load_profile("warptf")


@pytest.fixture(scope="session")
def omniglot_archives() -> Path:
    """The folder of Omniglot archives, where the machine has one."""
    folder = os.environ.get("WARPTF_DATA_DIR")
    if not folder:
        pytest.skip("WARPTF_DATA_DIR is not set: no Omniglot archives")
    archives = Path(folder) / "omniglot"
    if not list(archives.glob("*.zip")):
        pytest.skip(f"{archives} holds no archives")
    return archives


@pytest.fixture(scope="session")
def prepared_omniglot(omniglot_archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Omniglot as TensorFlow Datasets keeps it."""
    from warptf.tasks import prepare_omniglot

    folder = tmp_path_factory.mktemp("prepared")
    lines: list[str] = []
    prepare_omniglot(omniglot_archives, folder, lines.append)
    assert len(lines) > 4
    return folder
