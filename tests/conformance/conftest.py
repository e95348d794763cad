from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--compatibility", type=Path, help="write the table of the conformance matrix to this file"
    )


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("compatibility", None)
    # The processes of pytest-xdist report to the one that writes.
    if path is not None and not hasattr(config, "workerinput"):
        from conformance.compatibility import Recorder

        config.pluginmanager.register(Recorder(path))
