"""The outer update: named groups of variables, moved by Keras optimizers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import keras
import tensorflow as tf
from keras.optimizers import Optimizer

from warptf.meta_learners.optimizer_view import (
    counters_of_its_own,
    start_averages,
    variables_of,
    view,
)

Tensors = Sequence[tf.Tensor]
Groups = Mapping[str, Sequence[keras.Variable]]


class OuterUpdate:
    r"""Moves named groups of variables, each by the optimizer that serves it.

    An optimizer that serves several groups is one Keras optimizer, built on the variables of all of
    them: what moves at the same time is one update, with one global norm.

    Some algorithms move groups at different times: the offline one $\phi$ many times in a meta-step
    and $\theta_0$ once. An optimizer that serves both counts the updates at each time for itself:
    bias corrections, schedules of the rate and averages of the variables are then those that an
    optimizer for each would have. Its own `iterations` are those of the first time.

    Args:
        groups: all groups of variables by name.
        moving: names of the groups that move at all.
        optimizers: the optimizer of each group.
        times: for each time within a step at which variables move, the names of the groups that
            do; the time that comes most often is the first.

    Raises:
        ValueError: an optimizer was built on other variables, gathers gradients by itself on
            several replicas, which Keras cannot do, scales losses by itself, or is a
            `MultiOptimizer` that would serve groups at different times.
    """

    def __init__(
        self,
        groups: Groups,
        moving: Iterable[str],
        optimizers: Mapping[str, Optimizer],
        times: Sequence[Sequence[str]],
    ) -> None:
        self._groups = {name: list(groups[name]) for name in moving if groups[name]}
        self._optimizers = {name: optimizers[name] for name in self._groups}
        self._times = times
        for optimizer in _distinct(optimizers.values()):
            _check_accumulation(optimizer)
            _check_scaling(optimizer)
            served = [name for name, other in optimizers.items() if other is optimizer]
            # One that moves nothing is built on its group all the same: earlier versions did, and
            # its state is in their files.
            built = [name for name in served if name in self._groups] or served
            _build(optimizer, [variable for name in built for variable in groups[name]])
            times_of_its_own = self._times_of(optimizer)
            if len(times_of_its_own) > 1:
                _check_one_for_several_times(optimizer, times_of_its_own)
                for time in times_of_its_own[1:]:
                    counters_of_its_own(optimizer, time[0])

    def apply(self, gradients: Mapping[str, Tensors]) -> None:
        """Moves groups along mean gradients, in replica context.

        Args:
            gradients: those of the groups that move at one time; those of groups that do not move
                are left out.
        """
        for optimizer in _distinct(self._optimizers.values()):
            names = [name for name in self._served_by(optimizer) if name in gradients]
            if names:
                variables = [variable for name in names for variable in self._groups[name]]
                own = [gradient for name in names for gradient in gradients[name]]
                _apply(self._at_the_time_of(optimizer, names[0]), variables, own)

    def moves_by(self, optimizer: Optimizer) -> bool:
        """Returns whether an optimizer moves anything."""
        return bool(self._served_by(optimizer))

    def start_averages(self) -> None:
        """Lets the averages of what has not moved yet be its values, before training."""
        for optimizer in _distinct(self._optimizers.values()):
            for time in self._times_of(optimizer):
                start_averages(self._at_the_time_of(optimizer, time[0]))
            for part in getattr(optimizer, "optimizers", []):
                start_averages(part)

    def finish_averages(self, done: Optimizer) -> None:
        """Gives variables the averages that their optimizers keep of them, if they do so.

        Args:
            done: an optimizer of which Keras itself has done so.
        """
        for optimizer in _distinct(self._optimizers.values()):
            if optimizer is not done:
                optimizer.finalize_variable_values(variables_of(optimizer))

    def _served_by(self, optimizer: Optimizer) -> list[str]:
        return [name for name, other in self._optimizers.items() if other is optimizer]

    def _times_of(self, optimizer: Optimizer) -> list[list[str]]:
        """Returns, for each time at which an optimizer moves groups, their names."""
        served = self._served_by(optimizer)
        own = [[name for name in time if name in served] for time in self._times]
        return [time for time in own if time]

    def _at_the_time_of(self, optimizer: Optimizer, group: str) -> Optimizer:
        """Returns an optimizer as it is for what moves together with a group."""
        times = self._times_of(optimizer)
        if len(times) == 1:
            return optimizer
        time = next(time for time in times if group in time)
        counters = {} if time is times[0] else counters_of_its_own(optimizer, time[0])
        variables = [variable for name in time for variable in self._groups[name]]
        # Made anew for each use: what a user sets on the optimizer holds for all its views.
        return view(optimizer, variables, counters)


def _distinct(optimizers: Iterable[Optimizer]) -> Iterator[Optimizer]:
    return iter({id(optimizer): optimizer for optimizer in optimizers}.values())


def _build(optimizer: Optimizer, variables: list[keras.Variable]) -> None:
    if not optimizer.built:
        optimizer.build(variables)
        return
    known = {id(variable) for variable in variables_of(optimizer)}
    unknown = [variable.path for variable in variables if id(variable) not in known]
    if unknown:
        raise ValueError(
            f"optimizer {optimizer.name!r} was built on other variables before and does not know "
            f"{unknown[0]!r}: make a new one for this meta-learner."
        )


def _check_accumulation(optimizer: Optimizer) -> None:
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    for one in getattr(optimizer, "optimizers", [optimizer]):
        steps = getattr(one, "gradient_accumulation_steps", None)
        if steps and replicas > 1:
            raise ValueError(
                f"optimizer {one.name!r} has gradient_accumulation_steps={steps}, which Keras "
                f"does not support on {replicas} replicas: give it to OnlineMetaLearner instead."
            )


def _check_scaling(optimizer: Optimizer) -> None:
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            f"optimizer {optimizer.name!r} is a LossScaleOptimizer, but a meta-learner scales the "
            "losses of a model in float16 by itself: give it the optimizer that is within."
        )


def _check_one_for_several_times(optimizer: Optimizer, times: Sequence[Sequence[str]]) -> None:
    if hasattr(optimizer, "optimizers"):
        groups = " and ".join(name for time in times for name in time)
        raise ValueError(
            f"optimizer {optimizer.name!r} is a {type(optimizer).__name__}, which moves all its "
            f"variables at once, but here {groups} move at different times: give each an "
            "optimizer, by the arguments of compile."
        )


def _apply(
    optimizer: Optimizer, variables: Sequence[keras.Variable], gradients: Sequence[tf.Tensor]
) -> None:
    # Keras sums over replicas; the gradients here are means over each replica's tasks. It also
    # divides by an optimizer's constant scale, by which losses of meta-learners are not multiplied.
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    divisor = replicas / (optimizer.loss_scale_factor or 1)
    scaled = list(gradients) if divisor == 1 else [g / divisor for g in gradients]
    # The optimizer counts its steps: not before there are gradients, for a step is begun before it
    # is known that the data have ended.
    with tf.control_dependencies(scaled):
        optimizer.apply(scaled, list(variables))
