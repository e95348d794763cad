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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Makes slow all cases of a test but the few that its marker names."""
    unseen: set[tuple[str, str]] = set()
    seen: set[tuple[str, str]] = set()
    for item in items:
        if few := item.get_closest_marker("few"):
            test = item.nodeid.split("[")[0]
            case = item.callspec.id  # type: ignore[attr-defined]
            found = set(few.args) & {case, *case.split("-")}
            seen |= {(test, name) for name in found}
            unseen |= {(test, name) for name in few.args}
            if not found:
                item.add_marker(pytest.mark.slow)
    if (unknown := unseen - seen) and not any("[" in given for given in config.args):
        raise pytest.UsageError(f"marker `few` names cases that there are not: {unknown}")


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
