import keras
import numpy as np
import pytest

from warptf.models import WARP_ARCHITECTURES, few_shot_learner, multi_shot_learner
from warptf.partition import partition

WARPED = [name for name in WARP_ARCHITECTURES if name != "none"]


def test_learner_without_warp_is_the_papers() -> None:
    model = multi_shot_learner(warp=None)
    assert [(layer.name, layer.output.shape[1:]) for layer in model.layers[1:6]] == [
        ("conv_0", (28, 28, 64)),
        ("pool_0", (14, 14, 64)),
        ("norm_0", (14, 14, 64)),
        ("relu_0", (14, 14, 64)),
        ("conv_1", (14, 14, 64)),
    ]
    sides = [model.get_layer(f"relu_{i}").output.shape[1] for i in range(4)]
    assert sides == [14, 7, 3, 1]
    # Four convolutions with biases, four norms with scale and offset, a dense head on 64 features.
    weights = 9 * 64 + 3 * 9 * 64 * 64 + 4 * 64 + 4 * 2 * 64 + 64 * 20 + 20
    assert sum(int(np.prod(v.shape)) for v in partition(model).task_variables) == weights
    norm = model.get_layer("norm_3")
    assert (norm.momentum, norm.epsilon) == (0.9, 1e-5)
    assert model.output_shape == (None, 20)


# Trainable weights of one warp layer on f channels: convolutions with biases, norms with 2f.
WEIGHTS = {
    "scale": lambda f: f,
    "conv1x1": lambda f: f * f + f,
    "conv3x3": lambda f: 9 * f * f + f,
    "conv-relu": lambda f: 9 * f * f + f,
    "conv-bn": lambda f: 9 * f * f + f + 2 * f,
    "conv-bn-relu": lambda f: 9 * f * f + f + 2 * f,
    "conv-bn-res-relu": lambda f: 9 * f * f + f + 4 * f,
    "two-layer": lambda f: 2 * (9 * 128 * f + 128 * f) + 128 + f + 2 * (f + 128 + 128 + f),
}
WEIGHTS["two-layer-relu"] = WEIGHTS["two-layer-film"] = WEIGHTS["two-layer"]


@pytest.mark.parametrize("warp", WARPED)
def test_every_architecture_has_its_weights(warp: str) -> None:
    filters = 4
    parts = partition(multi_shot_learner(ways=3, filters=filters, warp=warp))
    count = sum(int(np.prod(v.shape)) for v in parts.warp_variables)
    assert count == 4 * WEIGHTS[warp](filters)
    context = sum(int(np.prod(v.shape)) for v in parts.context_variables)
    assert context == (4 * 2 * 128 if warp == "two-layer-film" else 0)


@pytest.mark.parametrize("warp", [None, "conv3x3", "two-layer"])
def test_the_seed_fixes_all_values(warp: str | None) -> None:
    first, again, other = (
        multi_shot_learner(5, 4, warp, seed=seed).get_weights() for seed in (1, 1, 2)
    )
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [(a, c) for a, c in zip(first, other, strict=True) if a.ndim > 1]
    assert all(not np.array_equal(a, c) for a, c in kernels)


def test_task_layers_start_the_same_whatever_the_warp_and_differ_from_each_other() -> None:
    plain, warped = (multi_shot_learner(5, 4, warp) for warp in (None, "two-layer-film"))
    for layer in plain.layers:
        for a, b in zip(
            layer.get_weights(), warped.get_layer(layer.name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(a, b)
    kernels = [plain.get_layer(f"conv_{i}").get_weights()[0] for i in (1, 2, 3)]
    warps = [
        v.numpy() for v in partition(multi_shot_learner(5, 4)).warp_variables if v.name == "kernel"
    ]
    flat = {np.array(kernel).tobytes() for kernel in kernels + warps}
    assert len(flat) == 7


def test_a_learner_is_saved_and_loaded(tmp_path) -> None:
    model = multi_shot_learner(5, 4, "two-layer-film", input_shape=(16, 16, 3))
    x = np.random.default_rng(0).random((2, 16, 16, 3)).astype("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert len(partition(loaded).context_variables) == 8


@pytest.mark.parametrize(("side", "left"), [(84, 5), (42, 2), (28, 1)])
def test_few_shot_learner_without_warp_is_that_of_maml(side: int, left: int) -> None:
    model = few_shot_learner(5, 32, None, (side, side, 3))
    assert [layer.name for layer in model.layers[1:5]] == ["conv_0", "norm_0", "relu_0", "pool_0"]
    assert model.get_layer("pool_3").output.shape[1:] == (left, left, 32)
    weights = 9 * 3 * 32 + 3 * 9 * 32 * 32 + 4 * 32 + 4 * 2 * 32 + left**2 * 32 * 5 + 5
    assert sum(int(np.prod(v.shape)) for v in partition(model).task_variables) == weights
    assert not partition(model).warp_variables


def test_warped_few_shot_learner_shares_its_first_block() -> None:
    model = few_shot_learner(5, 8, "conv3x3", (28, 28, 1))
    parts = partition(model)
    assert [layer.name for layer in model.layers if layer.name.startswith("warp")] == [
        "warp_1",
        "warp_2",
        "warp_3",
    ]
    task = 3 * (9 * 8 * 8 + 8 + 2 * 8) + 8 * 5 + 5
    assert sum(int(np.prod(v.shape)) for v in parts.task_variables) == task
    warp = (9 * 8 + 8 + 2 * 8) + 3 * (9 * 8 * 8 + 8)
    assert sum(int(np.prod(v.shape)) for v in parts.warp_variables) == warp
    # Both learners start with the same first convolution.
    plain = few_shot_learner(5, 8, None, (28, 28, 1))
    shared = model.get_layer("shared_conv_0").get_weights()
    np.testing.assert_array_equal(shared[0], plain.get_layer("conv_0").get_weights()[0])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"warp": "conv5x5"}, "warp must be one of none, scale, .* got 'conv5x5'"),
        ({"ways": 0}, "ways must be a positive integer, got 0"),
        ({"filters": 1.5}, "filters must be a positive integer, got 1.5"),
        ({"input_shape": (15, 28, 1)}, "sides of at least 16 .* got \\(15, 28, 1\\)"),
        ({"input_shape": (28, 28)}, "input_shape must be \\(height, width, channels\\)"),
        ({"seed": -1}, "seed must be a non-negative integer, got -1"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, match: str) -> None:
    for learner in (multi_shot_learner, few_shot_learner):
        with pytest.raises(ValueError, match=match):
            learner(**arguments)
