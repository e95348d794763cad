import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from warptf.tasks import AffineDistortion
from warptf.tasks.affine_distortion import AffineParameters


class Given(AffineDistortion):
    """Distorts by given parameters."""

    def sample(self, count, height, width, seed):
        return AffineParameters(*(tf.constant(p, tf.float32) for p in self.parameters))


def distort(images, scale, rotation, shift):
    distortion = Given()
    object.__setattr__(distortion, "parameters", (scale, rotation, shift))
    return distortion(tf.constant(images, tf.float32), [0, 0]).numpy()


def warped(image, scale, rotation, shift):
    """Pixel by pixel: where a pixel comes from, and the four values around that place."""
    height, width = image.shape
    padded = np.pad(image, 1)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    forward = scale * np.array(
        [[math.cos(rotation), math.sin(rotation)], [-math.sin(rotation), math.cos(rotation)]]
    )
    result = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            source = np.linalg.solve(forward, np.array([x, y]) - centre - shift) + centre
            left, top = np.floor(source).astype(int)
            right, down = source - (left, top)
            if -1 <= left < width and -1 <= top < height:
                square = padded[top + 1 : top + 3, left + 1 : left + 3]
                result[y, x] = [1 - down, down] @ square @ [1 - right, right]
    return result


@settings(max_examples=25)
@given(
    st.integers(3, 9),
    st.integers(3, 9),
    st.floats(0.5, 2),
    st.floats(0, 2 * math.pi),
    st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    st.integers(0, 1000),
)
def test_equals_a_warp_pixel_by_pixel(height, width, scale, rotation, shift, seed):
    images = np.random.RandomState(seed).rand(2, height, width, 1)
    scales, rotations, shifts = [scale, 1], [rotation, rotation], [shift, (0, 0)]
    result = distort(images, scales, rotations, shifts)
    expected = [
        warped(image[..., 0], *p)
        for image, *p in zip(images, scales, rotations, shifts, strict=True)
    ]
    np.testing.assert_allclose(result[..., 0], expected, atol=2e-3)


def test_the_directions_are_those_documented():
    image = np.arange(1.0, 26).reshape(1, 5, 5, 1)
    quarter = distort(image, [1], [math.pi / 2], [(0, 0)])[0, ..., 0]
    np.testing.assert_allclose(quarter, np.rot90(image[0, ..., 0]), atol=1e-3)
    moved = distort(image, [1], [0], [(2, 1)])[0, ..., 0]
    np.testing.assert_allclose(moved[1:, 2:], image[0, :-1, :-2, 0], atol=1e-3)
    assert not moved[0].any() and not moved[:, :2].any()
    dot = np.zeros([1, 5, 5, 1])
    dot[0, 2, 3] = 1
    assert np.argmax(distort(dot, [2], [0], [(0, 0)])[0, 2, :, 0]) == 4


def test_parameters_fill_their_ranges_evenly_and_independently():
    count, height, width = 20000, 20, 30
    scale, rotation, shift = AffineDistortion().sample(count, height, width, [3, 4])
    parameters = [
        (scale.numpy(), 0.8, 1.2),
        (rotation.numpy(), 0, 2 * math.pi),
        (shift.numpy()[:, 0], -6, 6),
        (shift.numpy()[:, 1], -4, 4),
    ]
    for values, low, high in parameters:
        assert low <= values.min() and values.max() <= high
        found, _ = np.histogram(values, bins=20, range=(low, high))
        # Chi-square with 19 degrees of freedom: above 43.8 once in a thousand.
        assert ((found - count / 20) ** 2 / (count / 20)).sum() < 43.8
    correlation = np.corrcoef([values for values, _, _ in parameters])
    assert np.abs(correlation - np.eye(4)).max() < 0.03


def test_every_image_and_every_seed_is_distorted_in_its_own_way():
    images = np.tile(np.random.RandomState(0).rand(1, 12, 12, 1), [6, 1, 1, 1])
    one, again = (AffineDistortion()(images, [1, 2]).numpy() for _ in range(2))
    np.testing.assert_array_equal(one, again)
    other = AffineDistortion()(images, [1, 3]).numpy()
    assert len(np.unique(np.concatenate([one, other]).reshape(12, -1), axis=0)) == 12


def test_no_distortion_returns_the_images():
    images = np.random.RandomState(0).rand(3, 7, 8, 2).astype("float32")
    same = AffineDistortion(scale=(1, 1), rotation=0, shift=0)(images, [0, 0])
    np.testing.assert_allclose(same, images, atol=1e-6)


def test_serves_in_a_graph_whose_batch_is_not_known():
    distortion = AffineDistortion()
    call = tf.function(lambda x: distortion(x, [5, 6]), input_signature=[
        tf.TensorSpec([None, 6, 6, 1])
    ])  # fmt: skip
    images = np.random.RandomState(0).rand(4, 6, 6, 1).astype("float32")
    np.testing.assert_allclose(call(images), distortion(images, [5, 6]), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": (0, 1)}, r"`scale`.*\(0, 1\)"),
        ({"scale": (1.2, 0.8)}, r"`scale`.*\(1\.2, 0\.8\)"),
        ({"scale": (1, math.inf)}, "`scale`.*inf"),
        ({"scale": (math.nan, 1)}, "`scale`.*nan"),
        ({"scale": 1.0}, "`scale`.*1.0"),
        ({"rotation": -1}, "`rotation`.*-1"),
        ({"rotation": math.nan}, "`rotation`.*nan"),
        ({"rotation": 361}, "`rotation`.*361"),
        ({"shift": 1.1}, "`shift`.*1.1"),
        ({"shift": -0.1}, "`shift`.*-0.1"),
    ],
)
def test_bad_ranges_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        AffineDistortion(**arguments)


def test_images_without_a_batch_axis_are_refused():
    with pytest.raises(ValueError, match=r"`images`.*\(5, 5, 1\)"):
        AffineDistortion()(np.zeros([5, 5, 1], "float32"), [0, 0])
