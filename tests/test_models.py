import keras
import numpy as np
import pytest

from warptf.layers.channel_identity import ChannelIdentity
from warptf.models import (
    WARP_ARCHITECTURES,
    cavia_learner,
    few_shot_learner,
    multi_shot_learner,
    resnet12_learner,
    six_block_learner,
    t_net_learner,
)
from warptf.partition import partition

WARPED = [name for name in WARP_ARCHITECTURES if name != "none"]

# A small learner of each kind.
SMALL = {
    "multi-shot": lambda **k: multi_shot_learner(5, 4, "two-layer-film", (16, 16, 3), **k),
    "few-shot": lambda **k: few_shot_learner(5, 4, "conv3x3", (16, 16, 3), **k),
    "strided": lambda **k: few_shot_learner(
        5, 4, "conv3x3", (16, 16, 3), downsampling="stride", **k
    ),
    "t-net": lambda **k: t_net_learner(5, 4, (16, 16, 3), **k),
    "cavia": lambda **k: cavia_learner(5, 4, 7, (16, 16, 3), **k),
    "six-block": lambda **k: six_block_learner(5, "conv3x3", (2, 2, 3, 3, 4, 4), (32, 32, 3), **k),
    "resnet12": lambda **k: resnet12_learner(5, "conv3x3", (2, 3, 4, 5), (16, 16, 3), **k),
}
every_learner = pytest.mark.parametrize("make", SMALL.values(), ids=SMALL.keys())


def count(variables) -> int:
    return sum(int(np.prod(v.shape)) for v in variables)


def images(model: keras.Model) -> np.ndarray:
    return np.random.default_rng(0).random((2, *model.input_shape[1:])).astype("float32")


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
    assert count(partition(model).task_variables) == weights
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
    assert count(parts.warp_variables) == 4 * WEIGHTS[warp](filters)
    assert count(parts.context_variables) == (4 * 2 * 128 if warp == "two-layer-film" else 0)


def drawn_kernels(model: keras.Model) -> list[np.ndarray]:
    """All kernels, but a T-Net's identities."""
    kernels = [v.numpy() for v in model.weights if v.name == "kernel"]
    return [k for k in kernels if not np.array_equal(k.squeeze(), np.eye(len(k.T)))]


@every_learner
def test_the_seed_fixes_all_values(make) -> None:
    first, again, other = (make(seed=seed) for seed in (1, 1, 2))
    for a, b in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [k.tobytes() for model in (first, other) for k in drawn_kernels(model)]
    assert len(set(kernels)) == len(kernels) > 8


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


@every_learner
def test_a_learner_is_saved_and_loaded(make, tmp_path) -> None:
    model = make()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images(model)), model(images(model)))
    for kind, variables in vars(partition(model)).items():
        again = getattr(partition(loaded), kind)
        assert [(v.name, v.shape) for v in again] == [(v.name, v.shape) for v in variables]


@pytest.mark.parametrize(("side", "left"), [(84, 5), (42, 2), (28, 1)])
def test_few_shot_learner_without_warp_is_that_of_maml(side: int, left: int) -> None:
    model = few_shot_learner(5, 32, None, (side, side, 3))
    assert [layer.name for layer in model.layers[1:5]] == ["conv_0", "norm_0", "relu_0", "pool_0"]
    assert model.get_layer("pool_3").output.shape[1:] == (left, left, 32)
    weights = 9 * 3 * 32 + 3 * 9 * 32 * 32 + 4 * 32 + 4 * 2 * 32 + left**2 * 32 * 5 + 5
    assert count(partition(model).task_variables) == weights
    assert not partition(model).warp_variables


def test_strided_few_shot_learner_is_that_of_maml_on_omniglot() -> None:
    model = few_shot_learner(5, 64, None, (28, 28, 1), downsampling="stride")
    convolutions = [model.get_layer(f"conv_{i}") for i in range(4)]
    assert [conv.output.shape[1:] for conv in convolutions] == [
        (14, 14, 64),
        (7, 7, 64),
        (4, 4, 64),
        (2, 2, 64),
    ]
    # The head reads the 64 means over the 2 x 2 positions that are left.
    weights = 9 * 64 + 3 * 9 * 64 * 64 + 4 * 64 + 4 * 2 * 64 + 64 * 5 + 5
    assert count(partition(model).task_variables) == weights
    head = keras.Model(
        model.input, [model.get_layer("relu_3").output, model.get_layer("mean").output]
    )
    maps, means = head(images(model))
    np.testing.assert_allclose(means, np.mean(maps, axis=(1, 2)), rtol=1e-6)


def test_an_unknown_downsampling_is_named() -> None:
    with pytest.raises(ValueError, match="'max_pool' or 'stride', got 'mean'"):
        few_shot_learner(downsampling="mean")


def test_warped_few_shot_learner_shares_its_first_block() -> None:
    model = few_shot_learner(5, 8, "conv3x3", (28, 28, 1))
    parts = partition(model)
    assert [layer.name for layer in model.layers if layer.name.startswith("warp")] == [
        "warp_1",
        "warp_2",
        "warp_3",
    ]
    task = 3 * (9 * 8 * 8 + 8 + 2 * 8) + 8 * 5 + 5
    assert count(parts.task_variables) == task
    warp = (9 * 8 + 8 + 2 * 8) + 3 * (9 * 8 * 8 + 8)
    assert count(parts.warp_variables) == warp
    # Both learners start with the same first convolution.
    plain = few_shot_learner(5, 8, None, (28, 28, 1))
    shared = model.get_layer("shared_conv_0").get_weights()
    np.testing.assert_array_equal(shared[0], plain.get_layer("conv_0").get_weights()[0])


@pytest.mark.parametrize("seed", [0, 5])
def test_t_net_and_cavia_start_as_the_plain_few_shot_learner(seed: int) -> None:
    plain = few_shot_learner(5, 8, None, (28, 28, 3), seed)
    x = images(plain)
    # In training mode last: it moves the statistics of batch norm.
    expected = [plain(x, training=training) for training in (False, True)]
    for model in (
        t_net_learner(5, 8, (28, 28, 3), seed),
        cavia_learner(5, 8, 10, (28, 28, 3), seed),
    ):
        for training, values in zip((False, True), expected, strict=True):
            np.testing.assert_allclose(model(x, training=training), values, rtol=1e-5, atol=1e-6)


def test_t_net_mixes_channels_after_every_layer_of_weights() -> None:
    model = t_net_learner(5, 8, (84, 84, 3))
    assert [layer.name for layer in model.layers[1:6]] == [
        "conv_0",
        "warp_0",
        "norm_0",
        "relu_0",
        "pool_0",
    ]
    assert [layer.name for layer in model.layers[-2:]] == ["logits", "warp_logits"]
    parts = partition(model)
    task = 9 * 3 * 8 + 3 * 9 * 8 * 8 + 4 * 8 + 4 * 2 * 8 + 5**2 * 8 * 5 + 5
    assert count(parts.task_variables) == task
    assert count(parts.warp_variables) == 4 * 8 * 8 + 5 * 5
    assert not parts.context_variables


def test_cavia_adapts_its_context_only() -> None:
    model = cavia_learner(5, 8, 10, (84, 84, 3))
    names = [layer.name for layer in model.layers]
    start = names.index("shared_norm_2")
    assert names[start : start + 3] == ["shared_norm_2", "film_2", "relu_2"]
    parts = partition(model)
    assert not parts.task_variables
    assert [tuple(v.shape) for v in parts.context_variables] == [(10,)]
    film = 10 * 2 * 8 + 2 * 8
    rest = 9 * 3 * 8 + 3 * 9 * 8 * 8 + 4 * 8 + 4 * 2 * 8 + 5**2 * 8 * 5 + 5
    assert count(parts.warp_variables) == film + rest


def test_six_block_learner_leaves_two_by_two_pixels() -> None:
    model = six_block_learner()
    sides = [model.get_layer(f"relu_{i}").output.shape[1] for i in range(6)]
    assert sides == [84, 42, 21, 10, 5, 2]
    assert model.get_layer("flatten").input.shape[1:] == (2, 2, 256)
    assert model.output_shape == (None, 10)
    widths = [3, 64, 64, 160, 160, 256, 256]
    blocks = sum(9 * a * b + b + 2 * b for a, b in zip(widths, widths[1:], strict=False))
    parts = partition(model)
    assert count(parts.task_variables) == blocks + 2 * 2 * 256 * 10 + 10
    assert count(parts.warp_variables) == sum(9 * f * f + f for f in widths[1:])
    assert model.get_layer("norm_5").momentum == 0.9
    assert not partition(six_block_learner(warp=None, filters=[2] * 6)).warp_variables


def residual_blocks(widths: list[int]) -> list[int]:
    """Weights of each block: three 3x3 kernels, a 1x1 one, four norms."""
    return [
        9 * a * b + 2 * 9 * b * b + a * b + 4 * 2 * b
        for a, b in zip(widths, widths[1:], strict=False)
    ]


def test_resnet12_has_four_blocks_of_three_convolutions_and_a_shortcut() -> None:
    model = resnet12_learner(warp=None)
    sides = [model.get_layer(f"pool_{i}").output.shape[1:] for i in range(4)]
    assert sides == [(42, 42, 64), (21, 21, 160), (10, 10, 320), (5, 5, 640)]
    parts = partition(model)
    assert count(parts.task_variables) == sum(residual_blocks([3, 64, 160, 320, 640])) + 641 * 5
    assert not parts.warp_variables
    assert model.get_layer("norm_3_shortcut").momentum == 0.0


def test_warped_resnet12_shares_its_first_block() -> None:
    widths = [3, 4, 5, 6, 7]
    model = resnet12_learner(5, "conv3x3", widths[1:], (16, 16, 3))
    first, *rest = residual_blocks(widths)
    parts = partition(model)
    assert count(parts.task_variables) == sum(rest) + 7 * 5 + 5
    assert count(parts.warp_variables) == first + sum(9 * f * f + f for f in widths[2:])
    assert [layer.name for layer in model.layers if layer.name.startswith("warp")] == [
        "warp_1",
        "warp_2",
        "warp_3",
    ]
    plain = resnet12_learner(5, None, widths[1:], (16, 16, 3))
    shared = model.get_layer("shared_conv_0_shortcut").get_weights()
    np.testing.assert_array_equal(shared, plain.get_layer("conv_0_shortcut").get_weights())


def test_a_residual_block_is_the_written_out_one() -> None:
    model = resnet12_learner(5, None, (4, 4, 4, 4), (16, 16, 3))
    x = images(model)

    def part(h, name: str):
        h = model.get_layer(f"norm_{name}")(model.get_layer(f"conv_{name}")(h))
        return np.asarray(h)

    def leaky(h: np.ndarray) -> np.ndarray:
        return np.where(h > 0, h, np.float32(0.1) * h)

    h = part(leaky(part(leaky(part(x, "0_0")), "0_1")), "0_2") + part(x, "0_shortcut")
    pooled = leaky(h).reshape(2, 8, 2, 8, 2, 4).max(axis=(2, 4))
    block = keras.Model(model.input, model.get_layer("pool_0").output)
    np.testing.assert_allclose(block(x), pooled, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 3, 3), (3, 3, 2, 2), (2, 3, 2, 2)])
def test_identity_kernels_return_their_input(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 4, shape[-1])).astype("float32")
    convolved = keras.ops.conv(x, ChannelIdentity()(shape), padding="same")
    np.testing.assert_array_equal(convolved, x)


@pytest.mark.parametrize("shape", [(1, 1, 3, 4), (3, 3)])
def test_identity_kernels_keep_the_channels(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="keep the number of channels"):
        ChannelIdentity()(shape)


LEARNERS = {
    learner.__name__: learner
    for learner in (
        multi_shot_learner,
        few_shot_learner,
        t_net_learner,
        cavia_learner,
        six_block_learner,
        resnet12_learner,
    )
}
BY_BLOCK = ("six_block_learner", "resnet12_learner")


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"ways": 0}, "ways must be a positive integer, got 0"),
        ({"filters": 1.5}, "filters must be (a|[46]) positive integers?.* got 1.5"),
        ({"input_shape": (15, 28, 1)}, "sides of at least (16|32) .* got \\(15, 28, 1\\)"),
        ({"input_shape": (28, 28)}, "input_shape must be \\(height, width, channels\\)"),
        ({"seed": -1}, "seed must be a non-negative integer, got -1"),
    ],
)
def test_wrong_arguments_are_named(name: str, arguments: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        LEARNERS[name](**arguments)


@pytest.mark.parametrize("name", ["multi_shot_learner", "few_shot_learner", *BY_BLOCK])
def test_an_unknown_warp_is_named(name: str) -> None:
    with pytest.raises(ValueError, match="warp must be one of none, scale, .* got 'conv5x5'"):
        LEARNERS[name](warp="conv5x5")


@pytest.mark.parametrize("name", BY_BLOCK)
@pytest.mark.parametrize(
    ("filters", "match"),
    [
        ((4, 4, 4), "filters must be [46] positive integers.* got \\(4, 4, 4\\)"),
        (64, "filters must be [46] positive integers.* got 64"),
        ((4, 4, 0, 4), "filters"),
    ],
)
def test_wrong_widths_are_named(name: str, filters, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        LEARNERS[name](filters=filters)


def test_a_wrong_context_size_is_named() -> None:
    with pytest.raises(ValueError, match="context_size must be a positive integer, got 0"):
        cavia_learner(context_size=0)
