"""Imports point one way, and only three files know private names of Keras or TensorFlow."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A part may import itself and the parts of a lower level.
LEVELS = {
    "plotting": 0,
    "keras_backend": 0,
    "literals": 0,
    "reported": 0,
    "resources": 0,
    "surface_plots": 0,
    "layers": 0,
    "vectorized": 0,
    "partition": 1,
    "architecture": 2,
    "models": 2,
    "losses": 2,
    "compiled_loss": 2,
    "loss_scaling": 2,
    "metrics": 2,
    "inner_optimizers": 2,
    "tasks": 2,
    "trainable_state": 2,
    "adapted_model": 2,
    "value_checks": 0,
    "request_checks": 1,
    "adaptation": 3,
    "copying": 3,
    "diagnostics": 2,
    "experience": 2,
    "second_derivatives": 2,
    "distribution": 0,
    "needs": 0,
    "initializations": 4,
    # An objective that differentiates the whole adaptation takes an initialisation along.
    "objectives": 5,
    # Serving needs the inner loop alone; the `export` of agents and meta-learners calls it.
    "export": 4,
    "reinforcement": 5,
    "litert": 6,
    "meta_learners": 6,
    "tuning": 7,
}
LIBRARY = [path for path in sorted((ROOT / "warptf").rglob("*.py"))]
PROGRAMS = sorted((ROOT / "train").rglob("*.py"))
ENVIRONMENTS = sorted((ROOT / "envs").rglob("*.py"))
ALL = LIBRARY + PROGRAMS + ENVIRONMENTS


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def part_of(path: Path) -> str | None:
    """The part a file of the library belongs to; None for the package itself."""
    first = path.relative_to(ROOT / "warptf").parts[0].removesuffix(".py")
    return None if first == "__init__" else first


def imported_modules(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            relative, folder = node.level > 0, path.relative_to(ROOT).parts[0]
            assert not relative or folder in ("train", "envs"), f"relative import in {path}"
            module = node.module or ""
            modules |= {f"{module}.{alias.name}" for alias in node.names} | {module}
    return modules


def imported_parts(path: Path) -> set[str]:
    words = (module.split(".") for module in imported_modules(path))
    return {word[1] for word in words if word[0] == "warptf" and len(word) > 1}


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_imports_point_to_lower_levels(path: Path) -> None:
    own = part_of(path)
    if own is None:
        return
    assert own in LEVELS, f"give the new part {own!r} its level"
    for part in imported_parts(path) - {own}:
        assert part in LEVELS, f"{name_of(path)} imports the unknown part {part!r}"
        assert LEVELS[part] < LEVELS[own], f"{own} must not import {part}"


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_library_imports_no_program(path: Path) -> None:
    tops = {module.split(".")[0] for module in imported_modules(path)}
    assert not tops & {"train", "envs"}
    assert not imported_parts(path) & {"train", "envs"}


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=name_of)
def test_environments_import_no_program(path: Path) -> None:
    tops = {module.split(".")[0] for module in imported_modules(path)}
    assert "train" not in tops and "train" not in imported_parts(path)


# What each folder of programs may import of the others.
FOLDERS: dict[str, set[str]] = {
    "engine": set(),
    "experiments": {"engine"},
    "tune": {"engine", "experiments"},
    "command": {"engine", "experiments", "tune"},
}


def imported_folders(path: Path) -> set[str]:
    """The folders of `train/` that a file imports from by relative imports."""
    package = path.relative_to(ROOT / "train").parts[:-1]
    folders = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            folders.add((*base, *(node.module or node.names[0].name).split("."))[0])
    return folders & set(FOLDERS)


def test_folders_of_programs_are_imported_one_way() -> None:
    found: dict[str, set[str]] = {folder: set() for folder in FOLDERS}
    for folder in FOLDERS:
        for path in (ROOT / "train" / folder).rglob("*.py"):
            found[folder] |= imported_folders(path) - {folder}
    assert found == FOLDERS


def test_package_itself_holds_only_imports() -> None:
    for path in ALL:
        if path.name != "__init__.py":
            continue
        for node in ast.parse(path.read_text()).body:
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            is_all = isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
            is_import = isinstance(node, ast.Import | ast.ImportFrom)
            assert is_docstring or is_all or is_import, name_of(path)


def private_names_defined(path: Path) -> set[str]:
    names = {"_replace", "_asdict", "_fields", "_make"}  # those of every NamedTuple
    names.add("_exit")  # os._exit is documented
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.attr if isinstance(node, ast.Attribute) else node.id)
    return names


def private_names_used(path: Path) -> set[str]:
    nodes = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)]
    return {n.attr for n in nodes if n.attr.startswith("_") and not n.attr.startswith("__")}


OWN_NAMES = set().union(*(private_names_defined(path) for path in ALL))


# Those of layers and models, and those of optimizers.
KNOW_KERAS = {"warptf/partition/keras_internals.py", "warptf/meta_learners/optimizer_view.py"}
# That of what batches operations over tasks.
KNOWS_TENSORFLOW = {"warptf/vectorized/registry.py"}


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_only_three_files_use_private_names(path: Path) -> None:
    if name_of(path) in KNOW_KERAS | KNOWS_TENSORFLOW:
        return
    assert not private_names_used(path) - OWN_NAMES
    assert not {
        m for m in imported_modules(path) if m.startswith(("keras.src", "tensorflow.python"))
    }


# Where the equations are: what a reader must be able to take in.
CORE = {"adaptation", "diagnostics", "export", "initializations", "meta_learners", "objectives"}
CORE |= {"partition"}
CORE_FILES = [path for path in LIBRARY if part_of(path) in CORE]


@pytest.mark.parametrize("path", CORE_FILES, ids=name_of)
def test_files_and_functions_of_the_core_fit_a_reader(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 350
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef):
            continue
        documented = ast.get_docstring(node) is not None
        first = node.body[0].end_lineno if documented else node.lineno
        assert node.end_lineno - first < 60, f"{node.name} is too long"


@pytest.mark.parametrize("path", CORE_FILES, ids=name_of)
def test_methods_say_what_they_are_methods_of(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.args.args:
            first = node.args.args[0]
            assert first.arg != "self" or ast.unparse(first.annotation or first) != "Any"
            given = [*node.args.args[first.arg in ("self", "cls") :], *node.args.kwonlyargs]
            assert node.returns is not None, f"{node.name} does not say what it returns"
            assert all(a.annotation for a in given), f"{node.name} has arguments of no type"
