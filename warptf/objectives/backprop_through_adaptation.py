"""Backpropagation through the whole adaptation."""

from collections.abc import Sequence

import tensorflow as tf

from warptf.adaptation import Adapted, TaskAdaptation, adapt, dense_gradient
from warptf.initializations.initialization import Initialization
from warptf.needs import Need
from warptf.objectives.objective import Objective
from warptf.objectives.task_gradients import TaskGradients


class BackpropThroughAdaptation(Objective):
    r"""The MAML objective taken with respect to everything that tasks share.

    $\sum_\tau L_{meta}(\theta_K; \phi)$, differentiated through all $K$ inner steps with respect to
    the warp parameters $\phi$ and the inner optimizer's learned values, so that memory grows with
    $K$. It is the objective of the baselines that precondition, for `OnlineMetaLearner` only:

    * T-Net: linear warp layers after the task layers, with `initializations.MAML()`;
    * MT-Net: a T-Net whose inner optimizer is `MaskedSGD`, with `MAML()`;
    * Meta-SGD: no warp layers, `LearnedSGD(granularity="parameter", learn_momentum=False)`, with
      `MAML()`;
    * CAVIA: warp layers all over, around a small context that each task adapts
      (`layers.ContextFiLM`);
    * ANIL: everything but the head a warp layer (`warptf.designate`), with `MAML()`.

    With `initializations.MAML()`, one backward pass serves $\phi$, the learned values and
    $\theta_0$.

    Example:
        >>> import warptf
        >>> warptf.objectives.BackpropThroughAdaptation().differentiates_adaptation
        True

    Reference:
        Lee and Choi, arXiv 1801.05558 (T-Net); Li et al., arXiv 1707.09835 (Meta-SGD); Zintgraf et
        al., arXiv 1810.03642 (CAVIA); Raghu et al., arXiv 1909.09157 (ANIL).
    """

    @property
    def needs(self) -> Sequence[Need]:
        """The ways in which it can be learned."""
        return (Need.WHOLE_ADAPTATION,)

    def learn(self, task: TaskAdaptation, initialization: Initialization) -> TaskGradients:
        """Adapts to a task, and returns the gradients of the meta loss after it."""
        # MAML's gradient is that of the same loss: one backward pass gives both.
        joint = initialization.differentiated is Adapted.final_loss
        shared = task.parameters._replace(theta=list(task.parameters.theta))
        sources = [shared.theta if joint else [], shared.phi, shared.hyper]
        task = task._replace(parameters=shared)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            if joint:
                adapted = adapt(
                    task.problem,
                    task.start(),
                    task.batches,
                    task.steps,
                    task.step,
                    task.observers,
                )
            else:
                gradient, adapted = initialization.learn(task)
            output = adapted.final_loss()
        through, phi, hyper = dense_gradient(tape, output.loss, sources)
        return TaskGradients(
            phi, hyper, through if joint else gradient, adapted, output, output.reported["loss"]
        )
