"""Every layer and activation that Keras exports, and what becomes of its second derivatives."""

import inspect
from typing import NamedTuple

import keras
from contracts.keras_activations import activation_rows
from contracts.keras_layers import layer_rows
from contracts.keras_row import EXACT, FLAT, REFUSED, Row

LAYER, ACTIVATION = "Keras layer", "Keras activation"

# What is no layer that is called, or none that this backend can call.
LEFT_OUT = {
    "FlaxLayer": "computes with JAX",
    "InputLayer": "holds the place of an input",
    "InputSpec": "describes an input",
    "JaxLayer": "computes with JAX",
    "Layer": "is the base class",
    "TorchModuleWrapper": "computes with PyTorch",
    "Wrapper": "is the base class of wrappers",
}
# Why the others are not exact, for the reader of `docs/compatibility.md`.
WARPED = (
    "It moves pixels by an operation for whose derivative TensorFlow takes that of the inverse "
    "movement, an approximation, also in the first derivative."
)
COLOURS = (
    "It goes through hue and saturation, from which TensorFlow leaves out the derivative without a "
    "word, also the first."
)
REASONS = {
    "AugMix": WARPED,
    "RandAugment": WARPED,
    "RandomColorJitter": COLOURS,
    "RandomHue": COLOURS,
    "RandomPerspective": WARPED,
    "RandomRotation": WARPED,
    "RandomSaturation": COLOURS,
    "RandomShear": WARPED,
    "RandomTranslation": WARPED,
    "RandomZoom": WARPED,
    "SpectralNormalization": (
        "In training it assigns to the weights of the layer that it wraps, and no variable is "
        "assigned while a task is learned. It is refused by every meta-learner."
    ),
}


class Entry(NamedTuple):
    """One layer or activation in one setting.

    Attributes:
        kind: `"Keras layer"` or `"Keras activation"`.
        name: its name in Keras.
        setting: what is special, or nothing.
        row: how it is made and called, and the outcome that is expected.
    """

    kind: str
    name: str
    setting: str
    row: Row


def entries() -> list[Entry]:
    """Every layer in every setting, then every activation."""
    found = []
    for kind, rows in ((LAYER, layer_rows()), (ACTIVATION, activation_rows())):
        for key, row in rows.items():
            name, _, setting = key.partition(" (")
            found.append(Entry(kind, name, setting.removesuffix(")"), row))
    return found


def layer_names() -> dict[str, set[str]]:
    """The classes that Keras exports as layers, each with all its names."""
    found: dict[str, set[str]] = {}
    for name, cls in inspect.getmembers(keras.layers, inspect.isclass):
        found.setdefault(cls.__name__, set()).add(name)
    return found


def derivative_tables() -> str:
    """The tables as `docs/compatibility.md` has them."""
    notes = list(dict.fromkeys(REASONS.values()))
    lines = []
    for kind in (LAYER, ACTIVATION):
        settings: dict[tuple[str, str], list[str]] = {}
        for entry in entries():
            if entry.kind == kind:
                mark = _mark(entry, notes)
                settings.setdefault((entry.name, mark), []).append(entry.setting)
        if kind == LAYER:
            lines += [
                f"| {kind} | settings beside the default | second derivatives |",
                "|---|---|---|",
            ]
            lines += [
                f"| {n} | {', '.join(filter(None, s))} | {m} |" for (n, m), s in settings.items()
            ]
        else:
            lines += ["", f"| {kind} | second derivatives |", "|---|---|"]
            lines += [f"| {name} | {mark} |" for name, mark in settings]
    lines += ["", *(f"{number}. {note}" for number, note in enumerate(notes, 1))]
    left_out = ", ".join(f"`{name}` ({reason})" for name, reason in LEFT_OUT.items())
    return "\n".join([*lines, "", f"Left out: {left_out}.", ""])


def _mark(entry: Entry, notes: list[str]) -> str:
    if entry.row.outcome == REFUSED:
        return f"refused, note {notes.index(REASONS[entry.name]) + 1}"
    return {EXACT: "exact", FLAT: "flat"}[entry.row.outcome]
