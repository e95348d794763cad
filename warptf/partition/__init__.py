"""The variables of a model by the part they play, and the model as a pure function of them."""

from warptf.partition.functional_learner import FunctionalLearner, LearnerOutput
from warptf.partition.keras_internals import (
    compile_loss,
    compile_metrics,
    listed_metrics,
    losses_of_one_replica,
    losses_of_outputs,
    names_of_metrics,
)
from warptf.partition.layers import (
    all_variables,
    child_layers,
    iterate_layers,
    random_state_variables,
    variables_of_layer,
)
from warptf.partition.model_specs import input_spec, output_names, output_spec
from warptf.partition.partition import CONTEXT, TASK, WARP, Partition, partition

__all__ = [
    "CONTEXT",
    "TASK",
    "WARP",
    "FunctionalLearner",
    "LearnerOutput",
    "Partition",
    "all_variables",
    "child_layers",
    "compile_loss",
    "compile_metrics",
    "input_spec",
    "iterate_layers",
    "listed_metrics",
    "losses_of_one_replica",
    "losses_of_outputs",
    "names_of_metrics",
    "output_names",
    "output_spec",
    "partition",
    "random_state_variables",
    "variables_of_layer",
]
