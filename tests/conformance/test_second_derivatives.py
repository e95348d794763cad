"""Every layer and activation of Keras: second derivatives are exact, or refused before training.

`pytest tests/conformance/test_second_derivatives.py -m ""` takes about two minutes of one core.
"""

from collections.abc import Callable

import pytest
from conformance.derivative_rows import LEFT_OUT, REASONS, Entry, entries, layer_names
from contracts.keras_row import REFUSED
from contracts.second_derivatives import outcome_of

ENTRIES = entries()
# Each takes seconds, and a relative of it is among the ordinary tests.
DEAR = {
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling3D",
    "AutoContrast",
    "Bidirectional",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "CutMix",
    "Equalization",
    "GRUCell",
    "GroupQueryAttention",
    "LSTM",
    "LSTMCell",
    "MelSpectrogram",
    "RandomErasing",
    "RandomPerspective",
    "RNN",
    "SimpleRNN",
    "StackedRNNCells",
}


def name_of(entry: Entry) -> str:
    return f"{entry.name}-{entry.setting}" if entry.setting else entry.name


def is_ordinary(entry: Entry) -> bool:
    """Whether the ordinary tests check it: most in one setting, and what is mended in all."""
    mended = entry.name in ("Resizing", "UpSampling2D", "CenterCrop")
    plain = not entry.setting and entry.name not in DEAR
    return not entry.row.slow and (mended or plain)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(e, id=name_of(e), marks=[] if is_ordinary(e) else [pytest.mark.slow])
        for e in ENTRIES
    ],
)
def test_second_derivatives(entry: Entry, record_property: Callable[[str, object], None]) -> None:
    assert outcome_of(entry.row) == entry.row.outcome
    record_property("derivative", [entry.kind, entry.name, entry.setting])


def test_what_is_dear_is_there() -> None:
    assert not DEAR - {entry.name for entry in ENTRIES}


def test_every_layer_that_keras_exports_has_a_row() -> None:
    rows = {entry.name for entry in ENTRIES}
    for names in layer_names().values():
        assert names & (rows | set(LEFT_OUT)), f"add a row for {sorted(names)}"
    assert not rows & set(LEFT_OUT)


def test_every_refusal_has_a_reason() -> None:
    assert {e.name for e in ENTRIES if e.row.outcome == REFUSED} == set(REASONS)
