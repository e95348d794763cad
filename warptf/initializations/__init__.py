"""What the initialisation of the task parameters minimises."""

from warptf.initializations.first_order_bilevel_maml import FirstOrderBilevelMAML
from warptf.initializations.fixed import Fixed
from warptf.initializations.implicit_maml import ImplicitMAML
from warptf.initializations.initialization import Initialization
from warptf.initializations.leap import Leap
from warptf.initializations.maml import MAML
from warptf.initializations.multi_task import MultiTask
from warptf.initializations.reptile import Reptile

__all__ = [
    "MAML",
    "FirstOrderBilevelMAML",
    "Fixed",
    "ImplicitMAML",
    "Initialization",
    "Leap",
    "MultiTask",
    "Reptile",
]
