"""Saving meta-learners, a part of every one of them."""

import warnings
from typing import Any, NamedTuple, NoReturn

import keras

from warptf.copying import has_adapters, has_user_code, made_anew
from warptf.meta_learners.training_callbacks import listed
from warptf.partition import all_variables, iterate_layers


class _Answer(NamedTuple):
    """Why a model cannot be made anew, if so, and of which layers and variables that holds."""

    structure: tuple[int, ...]
    reason: str


class Saving(keras.Model):
    """What a meta-learner saves, and says before it has learned what it could not save."""

    model: keras.Model
    _answer: _Answer | None = None

    def save(
        self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
    ) -> None:
        """Saves the meta-learner as a `.keras` file, as `keras.Model.save` does.

        Args:
            filepath: file to write, `"….keras"`.
            overwrite: as in `keras.Model.save`.
            zipped: as in `keras.Model.save`.
            **kwargs: as in `keras.Model.save`.

        Raises:
            ValueError: the file could not be loaded: its suffix is that of another format, or the
                model cannot be made anew from its configuration.
        """
        if str(filepath).lower().endswith((".h5", ".hdf5")):
            raise ValueError(
                f"filepath must end in .keras, got {str(filepath)!r}: Keras could not load a "
                "meta-learner from the older HDF5 format. For the weights alone there is "
                "save_weights('….weights.h5')."
            )
        reason = self._why_not_made_anew()
        if reason:
            raise ValueError(_refusal(self.model, reason))
        super().save(filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def quantize(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuses: what is learned cannot be integers.

        Raises:
            ValueError: always, with the remedy.
        """
        raise ValueError(
            f"meta-learner {self.name!r} cannot be quantized, for it goes on learning its "
            "variables: quantize what it gives back, learner.adapt(x, y).quantize('int8'), or the "
            "model before the meta-learner is made, whose integers then stay as they are."
        )

    def _why_not_made_anew(self) -> str:
        """Returns why the model cannot be made anew, or nothing if it can."""
        # What Keras and this package have can be made anew, and a large model takes its time.
        if not (has_user_code(self.model) or has_adapters(self.model)):
            return ""
        parts = [*(layer for _, layer in iterate_layers(self.model)), *all_variables(self.model)]
        structure = tuple(map(id, parts))
        if self._answer is None or self._answer.structure != structure:
            self._answer = _Answer(structure, made_anew(self.model)[1])
        return self._answer.reason

    def _check_saving(self, callbacks: Any) -> None:
        """Says before training that the model cannot be saved, and refuses to have it saved.

        Args:
            callbacks: those of `fit`.

        Raises:
            ValueError: a `ModelCheckpoint` would save the whole of it.
        """
        reason = self._why_not_made_anew()
        if not reason:
            return
        for callback in listed(callbacks):
            checkpoints = isinstance(callback, keras.callbacks.ModelCheckpoint)
            if checkpoints and not callback.save_weights_only:
                raise ValueError(
                    f"callbacks: ModelCheckpoint saves the whole, but "
                    f"{_refusal(self.model, reason)} ModelCheckpoint(save_weights_only=True) "
                    "works, too."
                )
        warnings.warn(_refusal(self.model, reason), stacklevel=3)


def _refusal(model: keras.Model, reason: str) -> str:
    return (
        f"a meta-learner of model {model.name!r} cannot be saved as a .keras file, because "
        f"{reason}. save_weights('….weights.h5'), adapt and export work."
    )
