"""What objectives and initialisations need of a meta-learner, and meta-learners offer."""

import enum
from collections.abc import Collection, Sequence
from typing import Protocol


class Need(enum.Enum):
    """A way in which a meta-learner lets something be learned.

    The value says it in words.
    """

    INNER_LOOP = "inner steps that are taken one by one"
    STORED_STEPS = "inner steps that are stored and replayed"
    STREAM = "a stream, with no inner loop"
    WHOLE_ADAPTATION = "an adaptation that is differentiated as a whole"


# Who offers what to an objective, for messages.
_OFFERED_BY = {
    Need.INNER_LOOP: "OnlineMetaLearner",
    Need.STORED_STEPS: "OfflineMetaLearner",
    Need.STREAM: "ContinualMetaLearner",
    Need.WHOLE_ADAPTATION: "OnlineMetaLearner",
}


class Needing(Protocol):
    """Something that is learned by, and needs a meta-learner for that."""

    @property
    def needs(self) -> Sequence[Need]:
        """The ways in which it can be learned, of which one is enough."""

    @property
    def because(self) -> str:
        """Why it needs these, a clause for messages; may be empty."""


def check_offered(name: str, part: Needing, offers: Collection[Need], learner: str) -> Need:
    """Returns the way in which a meta-learner learns by something.

    Args:
        name: the argument of the constructor.
        part: the objective or initialisation.
        offers: the ways that the meta-learner offers.
        learner: the meta-learner's class.

    Raises:
        ValueError: it needs ways that the meta-learner does not offer.

    Example:
        >>> import warptf
        >>> from warptf.needs import Need, check_offered
        >>> objective = warptf.objectives.WarpGrad()
        >>> check_offered("objective", objective, [Need.INNER_LOOP], "OnlineMetaLearner").name
        'INNER_LOOP'
        >>> check_offered("objective", objective, [Need.STREAM], "ContinualMetaLearner")
        Traceback (most recent call last):
        ...
        ValueError: objective WarpGrad ... use OnlineMetaLearner or OfflineMetaLearner...
    """
    for need in part.needs:
        if need in offers:
            return need
    wanted = " or ".join(need.value for need in part.needs)
    where = " or ".join(dict.fromkeys(_OFFERED_BY[need] for need in part.needs))
    because = f"{part.because}, and " if part.because else ""
    raise ValueError(
        f"{name} {type(part).__name__} {because}needs {wanted}, which {learner} does not offer: "
        f"use {where}, or another {name}."
    )
