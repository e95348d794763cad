"""One step of a stream, as an objective for the warp parameters sees it."""

from typing import Any, NamedTuple

import tensorflow as tf

from warptf.distribution import all_reduce_mean
from warptf.experience import Experience, Learned, Tensors
from warptf.partition import FunctionalLearner


class StreamStep(NamedTuple):
    r"""What there is at one step of a stream, $\theta$ having moved.

    Attributes:
        experience: where losses and their gradients come from.
        learner: the functional view of the model.
        data: the batch of the stream.
        seed: the batch's seed.
        support: the record that $\theta$ has learned from.
        learned: what it has learned there, before it moved.
        before: $\theta$ before it moved.
        stepped: $\theta$ now.
        phi: warp parameters.
        rate: $\alpha$, the learning rate by which $\theta$ moved.
    """

    experience: Experience
    learner: FunctionalLearner
    data: Any
    seed: tf.Tensor
    support: Any
    learned: Learned
    before: Tensors
    stepped: Tensors
    phi: Tensors
    rate: Any

    def meta(self) -> Learned:
        r"""Returns $L_{meta}$ at the moved $\theta$ on the batch's query part, with gradients."""
        experience = self.experience
        record = experience.record(
            self.learner, self.stepped, self.phi, self.data, self.seed, "query"
        )
        return experience.learn(self.learner, self.stepped, self.phi, record, self.seed)

    def meta_phi(self) -> Tensors:
        r"""Returns the gradient of $L_{meta}$ for $\phi$.

        Where the experience has no query part of its own, what $\theta$ has learned from serves,
        before the move.
        """
        return self.meta().phi if self.experience.separate_query else self.learned.phi

    def phi_gradient_at(self, theta: Tensors) -> Tensors:
        r"""Returns $\nabla_\phi L_{task}$ on what $\theta$ has learned from.

        Args:
            theta: where.
        """
        return self.experience.learn(self.learner, theta, self.phi, self.support, self.seed).phi

    def over_replicas(self, values: Tensors) -> Tensors:
        """Returns the means of values over the replicas.

        Args:
            values: those of this replica.
        """
        return all_reduce_mean(values)
