"""Pure, differentiable update rules for the inner loop."""

from warptf.inner_optimizers.adam import Adam
from warptf.inner_optimizers.inner_optimizer import InnerOptimizer, InnerUpdate
from warptf.inner_optimizers.learned_sgd import LearnedSGD
from warptf.inner_optimizers.masked_sgd import MaskedSGD
from warptf.inner_optimizers.proximal import Proximal
from warptf.inner_optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "InnerOptimizer", "InnerUpdate", "LearnedSGD", "MaskedSGD", "Proximal"]
