"""The package `warptf` before it is run, so that its command can read arguments without TensorFlow.

Importing any part of `warptf` runs `warptf/__init__.py` first, and that imports TensorFlow. The
command puts a package in its place that is not run yet: modules that do without TensorFlow can be
imported from it, and it is run as soon as anything else is asked of it.
"""

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from warptf_launcher.interruption import interruption

_NAME = "warptf"


class _Deferred(ModuleType):
    """The package before it is run."""

    def __getattr__(self, name: str) -> Any:
        """Runs the package for a name that it does not have yet."""
        if name.startswith("__"):
            raise AttributeError(f"module {_NAME!r} has no attribute {name!r}")
        _run()
        return getattr(self, name)


def defer() -> None:
    """Has `import warptf` in this process run nothing, unless it has been imported.

    Raises:
        ModuleNotFoundError: If it is not installed.
    """
    if _NAME in sys.modules:
        return
    spec = importlib.util.find_spec(_NAME)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {_NAME!r}", name=_NAME)
    package = importlib.util.module_from_spec(spec)
    package.__class__ = _Deferred
    sys.modules[_NAME] = package


def load() -> None:
    """Runs the package, if it has been deferred; interrupted meanwhile, the process ends at once.

    Raises:
        ImportError: As the package itself.
    """
    with interruption.importing():
        _run()


@contextlib.contextmanager
def heavy_imports() -> Iterator[None]:
    """Does as `load`, and has a signal end the process at once within, where modules are imported.

    Raises:
        ImportError: As the package itself.
    """
    with interruption.importing():
        _run()
        yield


def _run() -> None:
    package = sys.modules[_NAME]
    if isinstance(package, _Deferred):
        package.__class__ = ModuleType  # type: ignore[assignment]
        assert package.__spec__ is not None and package.__spec__.loader is not None
        package.__spec__.loader.exec_module(package)
