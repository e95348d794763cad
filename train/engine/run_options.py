"""The options that every experiment has, whatever it trains."""

import dataclasses
import datetime
import math
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

Preset = Literal["smoke", "laptop", "paper"]
Strategy = Literal["none", "mirrored", "multiworker"]
Jit = Literal["none", "meta-step", "tasks"]
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


def flag(field: str) -> str:
    """Returns the command-line flag of a field.

    >>> flag("inner_steps")
    '--inner-steps'
    """
    return "--" + field.replace("_", "-")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options shared by all experiments; the configuration of each experiment extends them."""

    preset: str = "laptop"
    """Size of the run. It sets the defaults below; a flag given here overrides them."""
    data_dir: Path | None = None
    """Folder that holds prepared data sets; by default the one that the environment variable
    WARPTF_DATA_DIR names, else that of TensorFlow Datasets."""
    run_dir: Path | None = None
    """Folder that receives everything the run writes. Default: a new one under runs/."""
    seed: int = 0
    """Seed of the split, the data, the initial weights and every random draw."""
    resume: bool = False
    """Continue the run in --run-dir where it stopped; a finished run prints its result again, once
    what is missing of it is restored."""
    strategy: Strategy | None = None
    """Distribution: none; mirrored, tasks spread over all devices of this machine; or multiworker,
    over the processes that the environment variable TF_CONFIG names. By default mirrored where
    there are several GPUs, none elsewhere."""
    jit: Jit = "none"
    """What XLA compiles: nothing, the meta-step as one, or what learns one task (tasks)."""
    vectorize_tasks: str = "auto"
    """Whether the tasks of a meta-batch are learned together, as one batch: auto, where there is a
    GPU; yes; no; or how many at a time, where memory is short."""
    precision: Precision = "float32"
    """What layers compute in: float32; or bfloat16 or float16 with weights and updates in float32,
    which is for accelerators. Of CPUs, those with AVX512-BF16 compute in bfloat16; others convert.
    In float16 losses are scaled."""
    accumulation_steps: int = 1
    """Parts that a meta-batch is learned in, one after another, where its tasks do not fit into
    memory at once. The meta-step is that of all its tasks."""
    threads_per_operation: int = 0
    """Threads within one operation of TensorFlow; 0 leaves it to TensorFlow. With 1, tasks are
    learned side by side with a thread each: fastest where a meta-batch has a task for each core."""
    meta_steps: int = 60
    """Meta-steps, each on one meta-batch of tasks."""
    epoch_steps: int = 5
    """Meta-steps in an epoch: what one progress line, and one training line of metrics.jsonl,
    stands for."""
    evaluate_every: int = 4
    """Epochs between two evaluations on validation tasks; 0 for none in training."""
    checkpoint_every: int = 1
    """Epochs between two checkpoints; 0 for none."""
    patience: int = 0
    """Evaluations without a new best validation accuracy that end meta-training; 0 for none."""
    tensorboard: bool = False
    """Also write TensorBoard logs into the run directory (needs the package tensorboard)."""
    debug: bool = False
    """Show the traceback of an error instead of one line."""

    NOT_COMPARED: ClassVar[frozenset[str]] = frozenset(
        {"data_dir", "run_dir", "resume", "tensorboard", "debug"}
    )
    """Fields that may differ between a run and its continuation: none touches a figure."""
    META_BATCH: ClassVar[str] = "tasks"
    """The field that sets how many tasks a meta-batch has."""
    EXPERIMENT: ClassVar[str] = ""
    """The name of the experiment that this is the configuration of."""
    PRESET_FIELDS: ClassVar[tuple[str, ...]] = ("preset",)
    """The fields that `from_preset` sets the defaults of others by."""
    ADDED: ClassVar[Mapping[str, Any]] = {"vectorize_tasks": "auto"}
    """Fields that runs of earlier versions lack, and the JSON values that stand for what those did,
    mostly the defaults; a subclass that adds some extends this."""

    @property
    def meta_batch(self) -> int:
        """Number of tasks in a meta-batch."""
        return int(getattr(self, self.META_BATCH))

    @property
    def accumulates(self) -> bool:
        """Whether gradients can be gathered over the parts of a meta-batch."""
        return False

    @property
    def shares_equally(self) -> bool:
        """Whether all devices must have the same number of tasks."""
        return self.strategy == "multiworker"

    @property
    def jit_compile(self) -> bool | str:
        """What `compile` of a meta-learner is to be given."""
        return self.jit if self.jit == "tasks" else self.jit == "meta-step"

    @property
    def vectorize(self) -> bool | int | str:
        """What `compile` of a meta-learner is to be given as `vectorize_tasks`."""
        words: dict[str, bool | str] = {"auto": "auto", "yes": True, "no": False}
        given = self.vectorize_tasks
        if given in words:
            return words[given]
        if not given.isdecimal() or int(given) < 1:
            self._refuse("vectorize_tasks", "give auto, yes, no or a number of tasks of at least 1")
        return int(given)

    @classmethod
    def choices(cls) -> dict[str, tuple[Any, ...]]:
        """Returns the permitted values of every field that has a fixed list of them."""
        hints = typing.get_type_hints(cls)
        choices = {field.name: _choices(hints[field.name]) for field in dataclasses.fields(cls)}
        return {name: values for name, values in choices.items() if values}

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Returns the configuration whose `to_json` is `values`.

        Args:
            values: The object that `to_json` returned.

        Raises:
            ValueError: If it is of another experiment, a field is unknown or missing, as in another
                version's file, or a value is none of its field.
        """
        values = {**cls.ADDED, **values}
        experiment = values.pop("experiment", cls.EXPERIMENT)
        if experiment != cls.EXPERIMENT:
            raise ValueError(f"it is a configuration of {experiment}, not of {cls.EXPERIMENT}")
        names = {field.name for field in dataclasses.fields(cls)}
        if set(values) != names:
            raise ValueError(
                f"the configuration has other fields than this version of warptf: "
                f"unknown {sorted(set(values) - names)}, missing {sorted(names - set(values))}; "
                f"use the version that wrote it"
            )
        hints = typing.get_type_hints(cls)
        return cls(**{name: _from_json(name, hints[name], values[name]) for name in values})

    def differences(self, other: Self) -> list[str]:
        """Returns `flag: other's value, own value` for every field that decides a figure.

        Args:
            other: The configuration to compare with.
        """
        own, others = self.to_json(), other.to_json()
        return [
            f"{flag(name)} was {others[name]}, now {own[name]}"
            for name in own
            if name not in self.NOT_COMPARED and own[name] != others[name]
        ]

    def validate(self) -> None:
        """Checks the fields before anything is written or trained.

        Raises:
            ValueError: For the first bad field, naming its flag, its value and the remedy.
        """
        for name, choices in self.choices().items():
            if getattr(self, name) not in choices:
                self._refuse(name, f"choose one of {', '.join(map(str, choices))}")
        if not 0 <= self.seed < 2**31:
            self._refuse("seed", "give an integer from 0 to 2147483647")
        if self.resume and self.run_dir is None:
            raise ValueError("--resume: give the run to continue with --run-dir")
        self._at_least("epoch_steps", 1)
        for name in _COUNTS:
            self._at_least(name, 0)
        self._check_accumulation()
        _ = self.vectorize
        if self.strategy == "multiworker" and self.run_dir is None:
            raise ValueError("--strategy multiworker: give all workers the same --run-dir")
        if self.patience and not self.evaluate_every:
            self._refuse("patience", "counts evaluations; give --evaluate-every too")
        if self.meta_steps % self.epoch_steps:
            self._refuse("meta_steps", f"give a multiple of --epoch-steps {self.epoch_steps}")

    def _check_accumulation(self) -> None:
        self._at_least("accumulation_steps", 1)
        if self.accumulation_steps > 1 and not self.accumulates:
            self._refuse(
                "accumulation_steps", "only the online algorithm gathers gradients; give 1"
            )
        if self.accumulates and self.meta_batch % self.accumulation_steps:
            remedy = f"give a divisor of the {self.meta_batch} tasks of a meta-batch"
            self._refuse("accumulation_steps", remedy)

    def check_replicas(self, replicas: int) -> None:
        """Checks that the tasks of a meta-batch can be spread over replicas.

        Args:
            replicas: How many there are.

        Raises:
            ValueError: If they cannot.
        """
        multiple = replicas * self.accumulation_steps
        if self.shares_equally and self.meta_batch % multiple:
            each = f" times --accumulation-steps {self.accumulation_steps}"
            each = each if self.accumulation_steps > 1 else ""
            self._refuse(self.META_BATCH, f"give a multiple of the {replicas} devices{each}")

    def chosen_run_dir(self, *parts: str) -> Path:
        """Returns `run_dir`, or else a new folder under `runs/`.

        Args:
            *parts: Words for the name of a new one.
        """
        if self.run_dir is not None:
            return self.run_dir
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
        name = "-".join([*parts, f"seed{self.seed}", now])
        return Path("runs") / name

    def _at_least(self, name: str, least: int) -> None:
        if getattr(self, name) < least:
            self._refuse(name, f"give at least {least}")

    def _finite_above_zero(self, name: str) -> None:
        if not 0 < getattr(self, name) < math.inf:
            self._refuse(name, "give a finite number above 0")

    def _refuse(self, name: str, remedy: str) -> typing.NoReturn:
        raise ValueError(f"{flag(name)} {getattr(self, name)}: {remedy}")


_COUNTS = (
    "threads_per_operation",
    "meta_steps",
    "evaluate_every",
    "checkpoint_every",
    "patience",
)


def _from_json(name: str, annotation: Any, value: Any) -> Any:
    """Returns the value of a field from what stands for it in JSON."""
    members = typing.get_args(annotation)
    kinds = members if type(None) in members else (annotation,)
    for kind in kinds:
        if kind is Path and isinstance(value, str):
            return Path(value)
        if typing.get_origin(kind) is tuple and isinstance(value, list):
            # Tuples are lists in JSON.
            return tuple(value)
        if typing.get_origin(kind) is Literal and isinstance(value, str | int | float):
            # Which of them are permitted is for `validate` to say.
            return value
        if kind is float and type(value) is int:
            return value
        if isinstance(kind, type) and type(value) is kind:
            return value
    raise ValueError(f"{name} {value!r} is no value of this field; restore the file")


def _choices(annotation: Any) -> tuple[Any, ...]:
    """Returns the values of `Literal[...]` or `Literal[...] | None`, or nothing."""
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)
    members = typing.get_args(annotation)
    literals = [m for m in members if typing.get_origin(m) is Literal]
    if not literals:
        return ()
    none = (None,) if type(None) in members else ()
    return none + tuple(value for literal in literals for value in typing.get_args(literal))
