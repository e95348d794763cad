import configparser
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_requirements_are_those_of_the_package() -> None:
    required = lines(setup()["options"]["install_requires"])
    assert required == lines((ROOT / "requirements.txt").read_text())


def test_every_package_is_installed() -> None:
    listed = set(lines(setup()["options"]["packages"]))
    library = {path.parent for path in (ROOT / "warptf").rglob("__init__.py")}
    expected = {".".join(folder.relative_to(ROOT).parts) for folder in library}
    programs = {path.parent for path in (ROOT / "train").rglob("__init__.py")}
    programs -= {ROOT / "train" / "launcher"}
    expected |= {".".join(("warptf", *folder.relative_to(ROOT).parts)) for folder in programs}
    assert listed == expected | {
        "warptf.envs",
        "warptf_launcher",
        "warptf_gym_plugin",
    }


def test_pyproject_holds_tools_only() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(content) == {"build-system", "tool"}
