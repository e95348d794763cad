"""Every command that the documentation names is understood by the command line."""

import functools
import inspect
import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from docs.pages import PAGES, ROOT, blocks_of

from warptf.train.command import cli
from warptf.train.engine.experiment import Experiment
from warptf.train.experiments.few_shot.experiment import FewShotExperiment

CHOICES = re.compile(r"\[(--[a-z-]+) ([a-z0-9]+(?:[|-][a-z0-9]+)+)\]")
PLACEHOLDERS = {
    "EXPERIMENT": "few-shot",
    "RUN_DIR": "run",
    "RUN_DIR...": "run other",
    "OUT": "out",
    "DIR": "photographs",
    "FOLDER": "photographs",
    "FILE": "file",
    "NAME": "name",
    "...": "",
    "…": "",
}


def inline_commands(page: str) -> list[str]:
    """Returns the commands within a page's text."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    found = [" ".join(words.split()) for words in re.findall(r"`warptf ([^`]+)`", text)]
    # A word alone names a command, and is none; but training needs no more.
    return [command for command in found if " " in command or command == "train"]


def variants(command: str) -> list[str]:
    """Returns the commands that a usage line stands for, one for each choice of a flag."""
    flags = [[f"{flag} {choice}" for choice in choices.split("|")]
             for flag, choices in CHOICES.findall(command)]  # fmt: skip
    bare = re.sub(r"\[[^]]*\]", "", command)
    words = (PLACEHOLDERS.get(word, word) for word in shlex.split(bare))
    bare = " ".join(shlex.quote(word) if " " not in word else word for word in words if word)
    alone = [f"{bare} {flag}" for flag in itertools.chain(*flags)]
    return [bare, *alone]


COMMANDS = {
    page: list(
        dict.fromkeys(
            [c for block in blocks_of(page) for c in block.commands] + inline_commands(page)
        )
    )
    for page in PAGES
}
ALL = [(page, command) for page, found in COMMANDS.items() for command in found]


@pytest.mark.parametrize(("page", "command"), ALL)
def test_command_is_understood(
    page: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cli.tyro.cli

    def read_only(target: Any, **options: Any) -> Any:
        """Reads the words of a command, and does no more."""
        if inspect.isfunction(target):
            target = functools.wraps(target)(lambda *args, **kwargs: None)
        return real(target, **options)

    is_usage = bool(re.search(r"[\[…]|\.\.\.|\b[A-Z_]{2,}\b", command))
    monkeypatch.setattr(cli.tyro, "cli", read_only)
    monkeypatch.setattr(
        Experiment, "train", lambda self, config: {} if is_usage else config.validate()
    )
    # What a folder holds enough for is not asked of the reader's.
    monkeypatch.setattr(FewShotExperiment, "fitted", lambda self, config, given: config)
    monkeypatch.setattr("warptf.train.tune.search.tune", lambda *arguments: {})
    monkeypatch.setattr("warptf.train.engine.threads.use_threads", lambda count: None)
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}}')
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photographs").mkdir()
    for words in map(shlex.split, variants(command)):
        try:
            code = cli.main(words)
        except SystemExit as exit_:
            assert "--help" in words
            code = exit_.code
        assert code == 0, words


def test_commands_are_found() -> None:
    assert "train few-shot --data folder --images photographs" in " ".join(COMMANDS["README.md"])
    assert all(COMMANDS[page] for page in ("docs/serving.md", "docs/experiments.md"))
    expected = ["train x", "train x --preset smoke", "train x --preset laptop"]
    assert variants("train x [--preset smoke|laptop] [--data NAME] [options]") == expected
