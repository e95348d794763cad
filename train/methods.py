"""The registry of methods.

A new initialisation is a class in `warptf.initializations` and an entry here: the choices of the
command line, which options apply, the space of a search and the tables of the documentation follow.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from . import entries

EVERYWHERE = ("multi-shot", "few-shot", "sine")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """A method of meta-learning: what it is composed of, and what applies to it.

    Args:
        adapted: What tasks adapt, for the documentation.
        meta_learned: What is meta-learned, and by which gradient.
        initialization: The class in `warptf.initializations`.
        settings: Arguments of that class.
        options: Fields of the configuration that it takes as arguments, by the same names.
        objective: What the parameters that tasks share are learned by: the warp objective, for
            which the model has warp layers; the loss after adaptation; or nothing.
        inner_optimizer: The class in `warptf.inner_optimizers`.
        inner_settings: Arguments of that class, besides rate and momentum.
        model: The function of `warptf.models` that makes the model, where it is one of its own.
        model_options: Fields of the configuration that this function takes.
        head_only: Whether tasks adapt the last layer alone.
        inner_steps: Whether adaptation takes steps.
        meta_trained: Whether there is meta-training.
        every_step: Whether meta-training looks at the query set at each inner step.
        outer_steps: Defaults of the outer steps, where they are not Adam's.
        defaults: Defaults of other fields.
        experiments: Those that offer it.
    """

    adapted: str
    meta_learned: str
    initialization: str = "MAML"
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    options: tuple[str, ...] = ()
    objective: Literal["warp", "adaptation"] | None = None
    inner_optimizer: str = "SGD"
    inner_settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    model: str | None = None
    model_options: tuple[str, ...] = ()
    head_only: bool = False
    inner_steps: bool = True
    meta_trained: bool = True
    every_step: bool = False
    outer_steps: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    experiments: tuple[str, ...] = EVERYWHERE

    @property
    def warped(self) -> bool:
        """Whether the model has warp layers of a chosen architecture."""
        return self.objective == "warp"


_IMPLICIT = ("proximal_weight", "conjugate_gradient_steps", "system")
_SHORT = ("few-shot", "sine")
_OWN = ("few-shot",)
# Steps from the initialization towards the adapted parameters, shorter and shorter.
_TOWARDS = dict(outer_optimizer="sgd", initialization_rate=1.0, schedule="cosine")
# The gradient's smoothness grows with its norm.
_BILEVEL = dict(outer_optimizer="sgd", outer_momentum=0.9, initialization_rate=0.1, clip_norm=1.0)

_ALL = "everything"
_PULLED = "everything, pulled to θ₀"
_BLOCKS = "task layers: of four blocks the last three, and the head"
_WARPS = "warp layers, and a first block that is shared, by the warp objective"

METHODS: dict[str, Method] = {
    "warp-maml": Method(
        adapted=_BLOCKS,
        meta_learned=f"θ₀ by MAML; {_WARPS}",
        objective="warp",
        experiments=_SHORT,
    ),
    "warp-reptile": Method(
        adapted=_BLOCKS,
        meta_learned=f"θ₀ by Reptile; {_WARPS}",
        initialization="Reptile",
        objective="warp",
        experiments=_SHORT,
    ),
    "warp-imaml": Method(
        adapted=f"{_BLOCKS}, pulled to θ₀",
        meta_learned=f"θ₀ by the implicit gradient; {_WARPS}",
        initialization="ImplicitMAML",
        options=_IMPLICIT,
        objective="warp",
        experiments=_SHORT,
    ),
    "warp-leap": Method(
        adapted=_BLOCKS,
        meta_learned=f"θ₀ by Leap; {_WARPS}",
        initialization="Leap",
        objective="warp",
    ),
    "maml": Method(adapted=_ALL, meta_learned="θ₀, through all steps"),
    "fomaml": Method(
        adapted=_ALL, meta_learned="θ₀, to first order", settings=dict(first_order=True)
    ),
    "reptile": Method(
        adapted=_ALL,
        meta_learned="θ₀, towards the adapted parameters",
        initialization="Reptile",
        outer_steps=_TOWARDS,
    ),
    "leap": Method(
        adapted=_ALL, meta_learned="θ₀, by the length of the path", initialization="Leap"
    ),
    "meta-sgd": Method(
        adapted=_ALL,
        meta_learned="θ₀ and a rate per parameter, through all steps",
        objective="adaptation",
        inner_optimizer="LearnedSGD",
        inner_settings=dict(granularity="parameter", learn_momentum=False),
        experiments=_SHORT,
    ),
    "t-net": Method(
        adapted="everything but a linear warp after each layer",
        meta_learned="θ₀ and the warps, through all steps",
        objective="adaptation",
        model="t_net_learner",
        experiments=_OWN,
    ),
    "mt-net": Method(
        adapted="of these, units that a random mask lets move",
        meta_learned="θ₀, warps and the masks' logits, through all steps",
        objective="adaptation",
        inner_optimizer="MaskedSGD",
        model="t_net_learner",
        experiments=_OWN,
    ),
    "cavia": Method(
        adapted="a context of `--context-size` numbers",
        meta_learned="everything else, through all steps",
        initialization="Fixed",
        objective="adaptation",
        model="cavia_learner",
        model_options=("context_size",),
        defaults=dict(inner_rate=1.0),
        experiments=_OWN,
    ),
    "anil": Method(
        adapted="the head",
        meta_learned="everything, through all steps",
        objective="adaptation",
        head_only=True,
        experiments=_OWN,
    ),
    "imaml": Method(
        adapted=_PULLED,
        meta_learned="θ₀ by the implicit gradient: `--proximal-weight`, "
        r"`--conjugate-gradient-steps`, `--system exact\|damped`",
        initialization="ImplicitMAML",
        options=_IMPLICIT,
        experiments=_SHORT,
    ),
    "fo-b-maml": Method(
        adapted=_PULLED,
        meta_learned="θ₀ by differences of adaptations: `--perturbation`, `--symmetric`; outer "
        "steps clipped, with momentum",
        initialization="FirstOrderBilevelMAML",
        options=("proximal_weight", "perturbation", "symmetric"),
        every_step=True,
        outer_steps=_BILEVEL,
        experiments=_SHORT,
    ),
    "proto-net": Method(
        adapted="nothing: the head is the class means",
        meta_learned="everything, through the means (prototypical networks)",
        inner_steps=False,
        experiments=_OWN,
    ),
    "centroid": Method(
        adapted="nothing: the head is the class means",
        meta_learned="nothing",
        initialization="Fixed",
        inner_steps=False,
        meta_trained=False,
        experiments=_OWN,
    ),
    "finetune": Method(
        adapted="everything, with a new head",
        meta_learned="one body for all training tasks, a head for each",
        experiments=("multi-shot",),
    ),
    "none": Method(
        adapted="everything, from a random initialisation",
        meta_learned="nothing",
        initialization="Fixed",
        meta_trained=False,
    ),
}


def find(name: str) -> Method:
    """Returns a method.

    Args:
        name: Its name.

    Raises:
        ValueError: If there is none of that name.
    """
    return entries.find("--meta-learner", METHODS, name)


def names(experiment: str) -> tuple[str, ...]:
    """Returns the methods that an experiment offers.

    Args:
        experiment: Its name.

    >>> names("multi-shot")[-1]
    'none'
    """
    return entries.offered(METHODS, experiment)


def that(experiment: str | None = None, **features: Any) -> tuple[str, ...]:
    """Returns the methods whose features have given values.

    Args:
        experiment: One that offers them; any by default.
        **features: Attributes of `Method`.

    >>> that("sine", meta_trained=False)
    ('none',)
    """
    return tuple(
        name
        for name, method in METHODS.items()
        if experiment is None or experiment in method.experiments
        if all(getattr(method, feature) == value for feature, value in features.items())
    )


def users(field: str) -> tuple[str, ...]:
    """Returns the methods that a field of the configuration is for.

    Args:
        field: One that some methods have among their options.

    >>> users("symmetric")
    ('fo-b-maml',)
    """
    return tuple(
        name for name, method in METHODS.items() if field in method.options + method.model_options
    )


def own_fields() -> tuple[str, ...]:
    """Returns the fields of configurations that are for some methods only."""
    found = (field for m in METHODS.values() for field in m.options + m.model_options)
    return tuple(dict.fromkeys(found))


def table(experiment: str) -> str:
    """Returns the methods of an experiment as a Markdown table.

    Args:
        experiment: Its name.
    """
    offered = {name: METHODS[name] for name in names(experiment)}
    rows = [(f"`{name}`", m.adapted, m.meta_learned) for name, m in offered.items()]
    head = ["`--meta-learner`", "what is adapted", "what is meta-trained, by which gradient"]
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|---|---|---|", *lines[1:]])
