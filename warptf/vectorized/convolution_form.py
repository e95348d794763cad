"""As what convolutions with a filter for each task are computed."""

import contextlib
import contextvars
from collections.abc import Iterator

FORMS = ("groups", "mixed", "patches")

_form: contextvars.ContextVar[str] = contextvars.ContextVar("convolution_form", default="groups")


@contextlib.contextmanager
def convolution_form(form: str) -> Iterator[None]:
    r"""Chooses as what convolutions with a filter for each task are computed, for a while.

    Args:
        form: `"groups"`, one convolution with the tasks as groups of its channels, and with filters
            that are the same for all tasks repeated (default); `"mixed"`, the same, but with such
            filters all images as one batch; or `"patches"`, a batched matrix product with what each
            output sees of the inputs.

    Raises:
        ValueError: an unknown form.

    Example:
        >>> from warptf.vectorized import convolution_form
        >>> with convolution_form("patches"):
        ...     pass   # what is traced here
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {FORMS}, got {form!r}.")
    token = _form.set(form)
    try:
        yield
    finally:
        _form.reset(token)


def chosen_form() -> str:
    """Returns the form that is in force."""
    return _form.get()
