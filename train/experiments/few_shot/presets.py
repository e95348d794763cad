"""The defaults of few-shot runs: of presets and backbones."""

from typing import Any

# Features of a frozen backbone are a good start, which small steps keep.
BACKBONE: dict[str, Any] = dict(
    warp=None, head="class-means", adapt="head", adapter="film", image_size=160, centre=True
)
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": dict(
        threads_per_operation=1,
        filters=8,
        queries=2,
        evaluation_queries=4,
        tasks=2,
        inner_steps=2,
        evaluation_steps=2,
        validation_tasks=5,
        test_tasks=20,
        meta_steps=4,
        epoch_steps=2,
        evaluate_every=1,
    ),
    # A few hundred meta-steps want larger ones than tens of thousands do.
    "laptop": dict(
        threads_per_operation=1,
        queries=5,
        meta_steps=400,
        epoch_steps=20,
        evaluate_every=5,
        meta_rate=5e-3,
        initialization_rate=5e-3,
        schedule="cosine",
    ),
    "paper": dict(
        filters=128,
        tasks=1,
        shots=5,
        meta_steps=60_000,
        epoch_steps=500,
        evaluate_every=4,
        validation_tasks=200,
        inner_rate=0.01,
    ),
    "tiered-multi-shot": dict(
        threads_per_operation=1,
        learner="six-block",
        ways=10,
        shots=640,
        evaluation_shots=640,
        evaluation_queries=50,
        tasks=5,
        batch_size=64,
        inner_steps=100,
        evaluation_steps=640,
        inner_momentum=0.9,
        validation_tasks=10,
        test_tasks=100,
        meta_steps=2000,
        epoch_steps=50,
        evaluate_every=4,
    ),
}
# MAML's own settings on characters; photographs take smaller steps.
_PAPER_CHARACTERS: dict[str, Any] = dict(
    threads_per_operation=1,
    filters=64,
    ways=20,
    shots=1,
    queries=1,
    tasks=16,
    inner_rate=0.1,
    batch_norm="transductive",
)
PRESETS_ON_CHARACTERS: dict[str, dict[str, Any]] = {"paper": _PAPER_CHARACTERS}
