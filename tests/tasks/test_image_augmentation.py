import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from warptf.tasks import ImageAugmentation

IMAGES = np.random.RandomState(0).uniform(0.01, 1, [6, 7, 9, 3]).astype("float32")
STILL = dict(flip=False, padding=0, brightness=0, contrast=0, saturation=0)


@settings(max_examples=15)
@given(st.integers(0, 4), st.booleans(), st.integers(0, 2**31), st.integers(1, 4))
def test_places_are_those_of_a_crop_of_the_padded_image(padding, flip, seed, channels):
    images = np.random.RandomState(seed).uniform(0.01, 1, [5, 6, 4, channels]).astype("float32")
    augmentation = ImageAugmentation(**{**STILL, "flip": flip, "padding": padding})
    for image, augmented in zip(images, augmentation(images, [seed, 3]).numpy(), strict=True):
        padded = np.pad(image, [(padding, padding)] * 2 + [(0, 0)])
        crops = [
            padded[i : i + 6, j : j + 4]
            for i in range(2 * padding + 1)
            for j in range(2 * padding + 1)
        ]
        crops += [crop[:, ::-1] for crop in crops] if flip else []
        assert any(np.allclose(augmented, crop, atol=1e-6) for crop in crops)


def test_shifts_and_flips_are_drawn_evenly():
    image = np.zeros([7, 7, 1], "float32")
    image[3, 3], image[3, 4] = 1, 0.5
    augmentation = ImageAugmentation(**{**STILL, "flip": True, "padding": 2})
    images = augmentation(np.repeat(image[None], 5000, axis=0), [0, 0]).numpy()[..., 0]
    rows, columns = np.unravel_index(images.reshape(5000, -1).argmax(-1), [7, 7])
    flipped = images[np.arange(5000), rows, columns - 1] == 0.5
    counts = np.bincount(((rows - 1) * 5 + columns - 1) * 2 + flipped, minlength=50)
    # Chi-square with 49 degrees of freedom: above 85.4 once in a thousand.
    assert len(counts) == 50 and ((counts - 100) ** 2 / 100).sum() < 85.4


def factors_of(images, augmented, centre):
    """The one factor that values were stretched by about a centre."""
    factors = (augmented - centre) / (images - centre)
    factors = np.where(np.abs(images - centre) > 0.02, factors, np.nan)
    middle = np.nanmedian(factors.reshape(len(images), -1), axis=-1)
    expected = np.clip(centre + middle[:, None, None, None] * (images - centre), 0, 1)
    np.testing.assert_allclose(augmented, expected, atol=1e-4)
    return middle


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_colours_are_stretched_by_one_factor_for_each_image(name):
    images = np.repeat(0.3 + 0.4 * IMAGES[:1], 400, axis=0)
    grey = images @ np.array([0.299, 0.587, 0.114], "float32")
    centre = {
        "brightness": np.zeros([400, 1, 1, 1]),
        "contrast": grey.mean((1, 2))[:, None, None, None],
        "saturation": grey[..., None],
    }[name]
    augmented = ImageAugmentation(**{**STILL, name: 0.3})(images, [1, 2]).numpy()
    factors = factors_of(images, augmented, centre)
    assert 0.7 <= factors.min() < 0.72 and 1.28 < factors.max() <= 1.3
    assert abs(factors.mean() - 1) < 0.05


def test_grey_images_keep_their_saturation():
    grey = IMAGES[..., :1]
    augmented = ImageAugmentation(**{**STILL, "saturation": 1.0})(grey, [0, 1])
    np.testing.assert_allclose(augmented, grey, atol=1e-6)


def test_nothing_changes_when_everything_is_off():
    np.testing.assert_allclose(ImageAugmentation(**STILL)(IMAGES, [0, 1]), IMAGES, atol=1e-6)


def test_depends_on_the_seed_alone_and_on_each_image_by_itself():
    augmentation = ImageAugmentation()
    one, same, other = (augmentation(IMAGES, seed).numpy() for seed in ([0, 1], [0, 1], [0, 2]))
    np.testing.assert_array_equal(one, same)
    assert np.all(np.any(one != other, axis=(1, 2, 3)))
    assert (one.shape, one.dtype) == (IMAGES.shape, IMAGES.dtype)
    assert one.min() >= 0 and one.max() <= 1
    alike = augmentation(np.repeat(IMAGES[:1], 6, axis=0), [0, 1]).numpy()
    assert len(np.unique(alike.reshape(6, -1), axis=0)) == 6


def test_runs_in_a_graph_with_any_number_of_images():
    augmentation = ImageAugmentation(padding=2)
    signature = [tf.TensorSpec([None, 7, 9, 3]), tf.TensorSpec([2], tf.int32)]
    in_graph = tf.function(augmentation, input_signature=signature)
    for count in (1, 4):
        expected = augmentation(IMAGES[:count], [3, 4])
        np.testing.assert_allclose(in_graph(IMAGES[:count], [3, 4]), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"padding": -1}, ValueError, "`padding`.*-1"),
        ({"padding": 1.5}, TypeError, "`padding`.*1.5"),
        ({"brightness": -0.1}, ValueError, "`brightness`.*-0.1"),
        ({"contrast": 1.1}, ValueError, "`contrast`.*1.1"),
        ({"saturation": float("nan")}, ValueError, "`saturation`.*nan"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=message):
        ImageAugmentation(**arguments)


def test_images_need_four_axes():
    with pytest.raises(ValueError, match=r"`images`.*\(7, 9, 3\)"):
        ImageAugmentation()(IMAGES[0], [0, 1])
