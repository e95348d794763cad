"""MAML on the few-shot learner written plainly in PyTorch, what warptf's is compared with."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch.func import grad_and_value, vmap
from torch.nn import functional

from benchmarks import few_shot_data

Form = Literal["loop", "vmap"]
Parameters = list[torch.Tensor]
Batch = tuple[torch.Tensor, torch.Tensor]
MetaGradient = Callable[[Parameters, Batch, Batch], tuple[Parameters, torch.Tensor]]

# Keras' [height, width, inputs, outputs] and [inputs, outputs] as PyTorch has them, and back.
_TO_TORCH: dict[int, tuple[int, ...]] = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}
_TO_KERAS: dict[int, tuple[int, ...]] = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}


def parameters_of(values: Sequence[np.ndarray]) -> Parameters:
    """Returns values that are laid out as Keras has them as parameters.

    They do not require gradients: `torch.func` takes those that are asked for, and would have
    everything it computes recorded once more.
    """
    return [torch.tensor(v.transpose(_TO_TORCH[v.ndim])) for v in values]


def values_of(tensors: Parameters) -> list[np.ndarray]:
    """Returns tensors, shaped as the parameters are, as Keras lays them out."""
    return [t.numpy().transpose(_TO_KERAS[t.ndim]) for t in tensors]


def batch_of(images: tuple[np.ndarray, np.ndarray]) -> Batch:
    """Returns images with channels last, and their classes, as PyTorch takes them."""
    x, y = images
    # Of one channel: last or first is the same order in memory.
    return torch.from_numpy(x.reshape(*x.shape[:2], 1, *x.shape[2:4])), torch.from_numpy(y).long()


def network(parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
    """Returns the logits of images `[B, 1, height, width]`."""
    *convolutional, kernel, bias = parameters
    for block in range(few_shot_data.BLOCKS):
        weight, shift, scale, offset = convolutional[4 * block : 4 * block + 4]
        x = functional.conv2d(x, weight, shift, padding=1)
        x = functional.batch_norm(x, None, None, scale, offset, training=True, eps=1e-5)
        x = functional.max_pool2d(functional.relu(x), 2)
    return functional.linear(x.flatten(1), kernel, bias)


def loss(parameters: Parameters, batch: Batch) -> torch.Tensor:
    """Returns the mean cross-entropy on a batch."""
    x, y = batch
    return functional.cross_entropy(network(parameters, x), y)


def adapt(parameters: Parameters, support: Batch, inner_steps: int) -> Parameters:
    """Returns the parameters after gradient steps on the support set."""
    for _ in range(inner_steps):
        gradients, _ = grad_and_value(loss)(parameters, support)
        parameters = [
            p - few_shot_data.INNER_RATE * g for p, g in zip(parameters, gradients, strict=True)
        ]
    return parameters


def meta_gradient(form: Form, first_order: bool, inner_steps: int) -> MetaGradient:
    """Returns what computes the mean gradient of the tasks' query losses, and their mean.

    Args:
        form: whether tasks are taken one by one, or all at once by `vmap`.
        first_order: whether to take the gradient at the adapted parameters for that at the initial
            ones, as first-order MAML does, and not to differentiate the inner steps.
        inner_steps: inner steps of each task.
    """

    def adapted_loss(parameters: Parameters, support: Batch, query: Batch) -> torch.Tensor:
        return loss(adapt(parameters, support, inner_steps), query)

    def of_task(parameters: Parameters, support: Batch, query: Batch) -> Any:
        if first_order:
            return grad_and_value(loss)(adapt(parameters, support, inner_steps), query)
        return grad_and_value(adapted_loss)(parameters, support, query)

    of_tasks = vmap(of_task, in_dims=(None, 0, 0)) if form == "vmap" else _looped(of_task)

    def mean(parameters: Parameters, support: Batch, query: Batch) -> Any:
        gradients, losses = of_tasks(parameters, support, query)
        return [g.mean(0) for g in gradients], losses.mean()

    return mean


def _looped(of_task: Callable[[Parameters, Batch, Batch], Any]) -> Callable[..., Any]:
    """Returns a function of one task as one of all, stacking what it gives for each."""

    def of_tasks(parameters: Parameters, support: Batch, query: Batch) -> Any:
        tasks = zip(zip(*support, strict=True), zip(*query, strict=True), strict=True)
        several = [of_task(parameters, *task) for task in tasks]
        gradients, losses = zip(*several, strict=True)
        return [torch.stack(g) for g in zip(*gradients, strict=True)], torch.stack(losses)

    return of_tasks


def meta_step(
    gradient: MetaGradient, parameters: Parameters, support: Batch, query: Batch
) -> Callable[[], Any]:
    """Returns one meta-step, the update of the parameters by Adam included.

    Args:
        gradient: the meta-gradient.
        parameters: what it updates.
        support: support sets, the task axis first.
        query: query sets, the task axis first.
    """
    optimizer = torch.optim.Adam(parameters, few_shot_data.OUTER_RATE)

    def step() -> torch.Tensor:
        gradients, mean_loss = gradient(parameters, support, query)
        for parameter, value in zip(parameters, gradients, strict=True):
            parameter.grad = value
        optimizer.step()
        return mean_loss

    return step
