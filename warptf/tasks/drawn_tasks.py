"""What tasks have in common that are drawn at random, without end, instead of made of classes."""

SPLITS = ("train", "validation", "test")


def describe_draws(seed: int, evaluation_tasks: int) -> dict[str, list[str]]:
    """Returns a line on the tasks of each split.

    Args:
        seed: What all draws derive from.
        evaluation_tasks: Number of validation tasks, and of test tasks.

    >>> describe_draws(0, 600)["test"]
    ['600 tasks drawn with seed 0']
    """
    numbers = {"train": "endless", "validation": evaluation_tasks, "test": evaluation_tasks}
    return {split: [f"{numbers[split]} tasks drawn with seed {seed}"] for split in SPLITS}
