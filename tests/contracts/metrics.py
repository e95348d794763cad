"""What data each of Keras' metrics takes."""

from typing import Any

import keras
from contracts.losses import CLASSES, NUMBERS, ONE_HOT, Data

M = keras.metrics
# Where losses match ranks, Keras' metrics of the same name do not.
ALIKE = tuple(data._replace(labels=(data.shape,)) for data in NUMBERS)
PAIRS = (ALIKE[1],)
BINARY = (NUMBERS[0],)
LABELS = (Data((1,), "sigmoid", ((1,),), 2, ("int32",)),)

# Every metric that Keras exports, with the data that it takes.
TAKING: tuple[tuple[str, tuple[Data, ...]], ...] = (
    (
        """Accuracy BinaryAccuracy BinaryCrossentropy Hinge LogCoshError MeanAbsoluteError
        MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
        RootMeanSquaredError SquaredHinge binary_accuracy binary_crossentropy
        binary_focal_crossentropy hinge huber log_cosh mean_absolute_error
        mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error
        poisson squared_hinge""",
        ALIKE,
    ),
    (
        """AUC BinaryIoU FalseNegatives FalsePositives Precision PrecisionAtRecall Recall
        RecallAtPrecision SensitivityAtSpecificity SpecificityAtSensitivity TrueNegatives
        TruePositives""",
        BINARY,
    ),
    (
        """ConcordanceCorrelation CosineSimilarity PearsonCorrelation R2Score
        concordance_correlation pearson_correlation""",
        PAIRS,
    ),
    (
        """CategoricalAccuracy CategoricalCrossentropy CategoricalHinge KLDivergence
        TopKCategoricalAccuracy categorical_accuracy categorical_crossentropy
        categorical_focal_crossentropy categorical_hinge kl_divergence
        top_k_categorical_accuracy""",
        ONE_HOT,
    ),
    ("F1Score FBetaScore OneHotIoU OneHotMeanIoU", ONE_HOT[:1]),
    (
        """SparseCategoricalAccuracy SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy
        sparse_categorical_accuracy sparse_categorical_crossentropy
        sparse_top_k_categorical_accuracy""",
        CLASSES,
    ),
    ("IoU MeanIoU", LABELS),
)
KINDS = {name: kinds for names, kinds in TAKING for name in names.split()}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "F1Score": {"average": "macro"},
    "FBetaScore": {"average": "weighted"},
    "IoU": {"num_classes": 2, "target_class_ids": [1]},
    "MeanIoU": {"num_classes": 2},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [0]},
    "OneHotMeanIoU": {"num_classes": 3},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}
# These take values, or are made to be given arguments of their own kind.
NOT_METRICS = {"Mean", "MeanMetricWrapper", "Metric", "Sum", "deserialize", "get", "serialize"}


def is_known_by_name(name: str) -> bool:
    """Whether Keras finds a metric by its name, and it needs no arguments."""
    try:
        return keras.metrics.get(name) is not None and name not in ARGUMENTS
    except (ValueError, TypeError):
        return False


def made(name: str, by_name: bool) -> Any:
    """A metric as users give it."""
    thing = getattr(M, name)
    if by_name and is_known_by_name(name):
        return name
    return thing(**ARGUMENTS.get(name, {})) if isinstance(thing, type) else thing
