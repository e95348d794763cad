"""What the initialisation of the task parameters minimises."""

from warptf.initializations.fixed import Fixed
from warptf.initializations.initialization import Initialization
from warptf.initializations.leap import Leap
from warptf.initializations.maml import MAML
from warptf.initializations.multi_task import MultiTask
from warptf.initializations.reptile import Reptile

__all__ = ["MAML", "Fixed", "Initialization", "Leap", "MultiTask", "Reptile"]
