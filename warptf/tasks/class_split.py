"""Which classes are for meta-training, which for validation and which for the meta-test."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from warptf.tasks.image_bank import ImageBank
from warptf.tasks.mini_batches import legacy_seed
from warptf.tasks.names import normal_name, normal_names, one_of_each, spelled
from warptf.tasks.text_files import read_json, read_rows, read_text
from warptf.tasks.wording import some_of

_STEMS = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
_ENDINGS = (".json", ".csv", ".txt", "_classes.txt")
_HEADER = ["filename", "label"]


@dataclasses.dataclass(frozen=True)
class ClassSplit:
    """Three disjoint sets of class names.

    Names are kept as `normal_name` writes them: blanks at their ends and Unicode's several forms of
    one letter make no other class.

    Args:
        train: Names of classes for meta-training.
        validation: Names of classes to choose models by.
        test: Names of classes for the meta-test.

    Raises:
        TypeError: If a part is no sequence of strings.
        ValueError: If a part is empty, or a name is given more than once, maybe in two spellings.

    >>> split = ClassSplit.random([f"class {i}" for i in range(100)])
    >>> {part: len(names) for part, names in split.parts.items()}
    {'train': 64, 'validation': 16, 'test': 20}
    >>> ClassSplit(["cat"], ["dog"], ["cat"])
    Traceback (most recent call last):
    ValueError: `train` and `test` share 'cat'; each class may be in one part only.
    """

    train: Sequence[str]
    validation: Sequence[str]
    test: Sequence[str]

    def __post_init__(self) -> None:
        given = {part: getattr(self, part) for part in _STEMS}
        for part, names in given.items():
            object.__setattr__(self, part, _checked_part(part, names))
        for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
            common = sorted(set(getattr(self, one)) & set(getattr(self, other)))
            if common:
                raise ValueError(
                    f"`{one}` and `{other}` share {some_of(common)}"
                    f"{spelled(common, given[one], given[other])}; each class may be in one part "
                    "only."
                )

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """Names for "train", "validation" and "test"."""
        return {part: tuple(getattr(self, part)) for part in _STEMS}

    @classmethod
    def random(
        cls,
        names: Iterable[str],
        fractions: Sequence[float] = (0.64, 0.16, 0.2),
        seed: int = 0,
    ) -> "ClassSplit":
        """Cut names at random.

        Args:
            names: Distinct names of classes.
            fractions: Of the classes for training, validation and test, up to a common factor.
                Defaults to (0.64, 0.16, 0.2), the proportions of miniImageNet.
            seed: An integer that the cut depends on. Defaults to 0.

        Returns:
            A split that holds every name, each part in sorted order. Each part has at least one
            class.

        Raises:
            ValueError: If there are fewer than three names, or a fraction is not positive.
        """
        names = _checked_part("names", list(names))
        if len(names) < 3:
            raise ValueError(f"`names` must be three or more, received {some_of(names)}.")
        if len(fractions) != 3 or not all(0 < fraction < np.inf for fraction in fractions):
            raise ValueError(f"`fractions` must be three positive numbers, received {fractions!r}.")
        bounds = np.round(np.cumsum(fractions) / np.sum(fractions) * len(names)).astype(int)
        first = min(max(bounds[0], 1), len(names) - 2)
        second = min(max(bounds[1], first + 1), len(names) - 1)
        # The legacy generator's stream is frozen for good, that of numpy.random.Generator is not.
        order = np.random.RandomState(checked_seed(seed)).permutation(len(names))
        return cls(*(sorted(names[i] for i in p) for p in np.split(order, [first, second])))

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> "ClassSplit":
        """Read one file `{"train": [...], "validation": [...], "test": [...]}`.

        Args:
            path: The file. "val" may stand for "validation".

        Returns:
            The split.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it holds something else.
        """
        path = os.path.expanduser(os.fspath(path))
        content = _read_json(path)
        if not isinstance(content, dict):
            raise _malformed(path, "it is no object with lists of class names")
        parts = []
        for stems in _STEMS.values():
            keys = [stem for stem in stems if stem in content]
            if len(keys) != 1:
                raise _malformed(path, f"the list {' or '.join(map(repr, stems))} must occur once")
            parts.append(_names_in_json(content[keys[0]], path))
        return _assembled(cls, path, parts)

    @classmethod
    def from_directory(cls, directory: str | os.PathLike[str]) -> "ClassSplit":
        """Read the lists that are published with data sets, a file for each part.

        A part is the first that exists of:

        - `train.json`: a list of names; of lists, whose last item is the name (as for CIFAR-FS);
          or an object `{background or evaluation: {alphabet: [character, ...]}}`, for names
          `alphabet/character` (as for Omniglot);
        - `train.csv`: with a header `filename,label` the distinct labels (as for miniImageNet),
          else the first column (as for tieredImageNet);
        - `train.txt` or `train_classes.txt`: a name in each line.

        The other parts are in files `val` or `validation`, and `test`. Files are UTF-8, or UTF-16
        or UTF-32 with a byte-order mark; columns may be separated by tabs or semicolons, too.

        Args:
            directory: The folder with these files.

        Returns:
            The split. Where names stand for groups of classes, `expanded` gives their classes.

        Raises:
            FileNotFoundError: If there is no file for a part.
            ValueError: If a file holds something else.
        """
        directory = os.path.abspath(os.path.expanduser(os.fspath(directory)))
        paths = [_find_list(directory, stems) for stems in _STEMS.values()]
        return _assembled(cls, directory, [_read_list(path) for path in paths])

    def expanded(self, bank: ImageBank) -> "ClassSplit":
        """Replace names of groups by the classes that belong to them.

        Args:
            bank: A bank with classes named `group/class`; a class `a/b/c` belongs to the groups
                `a` and `a/b`.

        Returns:
            A split in which each name that is no class of the bank, but a group, is replaced by
            all classes of that group.

        Raises:
            ValueError: If a name is neither a class of the bank nor a group.

        >>> import numpy as np
        >>> names = ["fish/ray", "fish/trout", "trees/oak", "people/girl"]
        >>> bank = ImageBank(np.zeros([4, 2, 2, 3], "uint8"), range(4), names)
        >>> ClassSplit(["fish"], ["trees"], ["people/girl"]).expanded(bank).train
        ('fish/ray', 'fish/trout')
        """
        groups: dict[str, list[str]] = {}
        for name in bank.names:
            words = name.split("/")
            for length in range(1, len(words)):
                groups.setdefault("/".join(words[:length]), []).append(name)
        known = set(bank.names)
        parts = [
            [c for name in names for c in ([name] if name in known else groups.get(name, [name]))]
            for names in self.parts.values()
        ]
        split = ClassSplit(*parts)
        split._check(bank, "or for groups of them")
        return split

    def check(self, bank: ImageBank) -> None:
        """Make sure that a bank has every class.

        Args:
            bank: The bank that tasks are to be made from.

        Raises:
            ValueError: If it lacks a class.
        """
        self._check(bank, "or `expanded` where names stand for groups of classes")

    def _check(self, bank: ImageBank, alternative: str) -> None:
        for part, names in self.parts.items():
            unknown = sorted(set(names) - set(bank.names))
            if unknown:
                raise ValueError(
                    f"`{part}`: {some_of(unknown)} not among the {len(bank.names)} classes of "
                    f"`bank` ({some_of(bank.names)}); use a split made for these, {alternative}."
                )


def checked_seed(seed: Any) -> list[int]:
    """Any non-negative integer as the 32-bit words that NumPy's legacy generator takes."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"`seed` must be an integer, 0 or more, received {seed!r}.")
    return legacy_seed(int(seed))


def _checked_part(part: str, names: Any) -> tuple[str, ...]:
    normal = normal_names(part, names)
    if not normal:
        raise ValueError(f"`{part}` has no class; give it one at least.")
    return normal


def _assembled(cls: type[ClassSplit], path: str, parts: list[list[str]]) -> ClassSplit:
    try:
        return cls(*parts)
    except (TypeError, ValueError) as error:
        raise _malformed(path, str(error)) from error


def _find_list(directory: str, stems: Sequence[str]) -> str:
    files = [stem + ending for stem in stems for ending in _ENDINGS]
    for file in files:
        if os.path.isfile(os.path.join(directory, file)):
            return os.path.join(directory, file)
    raise FileNotFoundError(
        f"`directory`: {directory!r} holds none of {', '.join(files)}; name the folder with the "
        "lists of classes."
    )


def _read_list(path: str) -> list[str]:
    if path.endswith(".json"):
        return _names_in_json(_read_json(path), path)
    try:
        if path.endswith(".csv"):
            return _names_in_rows(read_rows(path), path)
        return [line for line in read_text(path).splitlines() if normal_name(line)]
    except ValueError as error:
        raise _malformed(path, str(error)) from error


def _names_in_rows(rows: list[list[str]], path: str) -> list[str]:
    if not rows or [normal_name(column).lower() for column in rows[0]] != _HEADER:
        return [row[0] for row in rows]
    short = [number for number, row in enumerate(rows, 1) if len(row) != len(_HEADER)]
    if short:
        raise _malformed(path, f"row {short[0]} has not two columns")
    return one_of_each(row[1] for row in rows[1:])


def _read_json(path: str) -> Any:
    try:
        return read_json(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"`path`: there is no file {path!r}.") from None
    except ValueError as error:
        raise _malformed(path, str(error)) from error


def _names_in_json(content: Any, path: str) -> list[str]:
    if isinstance(content, dict) and all(isinstance(part, dict) for part in content.values()):
        alphabets = [item for part in content.values() for item in part.items()]
        if all(isinstance(characters, list) for _, characters in alphabets):
            return [f"{alphabet}/{name}" for alphabet, names in alphabets for name in names]
    elif isinstance(content, list):
        return [item[-1] if isinstance(item, list) and item else item for item in content]
    raise _malformed(path, "it holds no list of class names")


def _malformed(path: str, reason: str) -> ValueError:
    return ValueError(f"{path!r} is no list of classes that can be used: {reason}")
