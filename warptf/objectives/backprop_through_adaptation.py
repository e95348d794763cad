"""Backpropagation through the whole adaptation."""

from warptf.objectives.objective import Objective


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
    def differentiates_adaptation(self) -> bool:
        """Whether gradients are taken through all inner steps."""
        return True
