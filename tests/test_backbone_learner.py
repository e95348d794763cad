"""Learners on backbones: what is frozen, what images are made into, and other heads."""

import importlib
from typing import Any

import keras
import numpy as np
import pytest

import warptf
from warptf import models
from warptf.layers import ClassMeanHead
from warptf.models.backbone_cut import cut_backbone
from warptf.models.backbone_learner import backbone_parts
from warptf.models.image_preprocessing import preprocessed, preprocessing_of
from warptf.train.experiments.few_shot.backbone_model import applications

Layers = keras.layers
X = np.random.default_rng(0).random((2, 12, 12, 3)).astype("float32")


def sequential() -> keras.Model:
    layers = [Layers.Conv2D(4, 3, name=f"conv_{i}") for i in range(4)]
    return keras.Sequential(
        [keras.Input((None, None, 3)), layers[0], Layers.BatchNormalization(), *layers[1:]]
    )


def branching() -> keras.Model:
    """A block of three kernels with a shortcut around two of them, behind another block."""
    x = inputs = keras.Input((12, 12, 3))
    x = Layers.ReLU(name="cut")(Layers.Conv2D(4, 3, name="before")(x))
    first = Layers.Conv2D(4, 3, padding="same", name="first")(x)
    second = Layers.BatchNormalization(name="norm")(
        Layers.Conv2D(4, 3, padding="same", name="second")(first)
    )
    third = Layers.Conv2D(5, 1, name="third")(Layers.Add()([first, second]))
    return keras.Model(inputs, Layers.GlobalAveragePooling2D()(third))


@pytest.mark.parametrize("make", [sequential, branching])
def test_the_parts_of_a_cut_are_the_backbone(make: Any) -> None:
    backbone = make()
    backbone(X)  # a layer that is called elsewhere, too, has several outputs
    expected = backbone(X, training=False)
    trunk, block = cut_backbone(backbone, with_block=True)
    assert block is not None
    np.testing.assert_allclose(block(trunk(X), training=False), expected, rtol=1e-6)
    kernels = [v.path.split("/")[-2] for v in block.trainable_variables if v.name == "kernel"]
    assert len(kernels) == 3
    assert not trunk.trainable_variables
    assert not any("gamma" in v.path for v in block.trainable_variables)
    whole, none = cut_backbone(backbone, with_block=False)
    assert none is None and not whole.trainable_variables
    np.testing.assert_allclose(whole(X), expected, rtol=1e-6)


def test_what_is_no_backbone_is_refused() -> None:
    with pytest.raises(TypeError, match="functional or sequential"):
        models.backbone_learner("MobileNet")  # type: ignore[arg-type]
    small = keras.Sequential([keras.Input((8, 8, 3)), Layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match="cannot be cut before its last 3 kernels"):
        models.backbone_learner(small, input_shape=(8, 8, 3), adapt="last-block")
    with pytest.raises(ValueError, match="does not take images of `input_shape`"):
        models.backbone_learner(small, input_shape=(16, 16, 3))
    for name in ("adapt", "adapter", "preprocessing"):
        with pytest.raises(ValueError, match=f"{name} must be one of"):
            models.backbone_learner(sequential(), **{name: "other"})
    with pytest.raises(ValueError, match="three channels"):
        preprocessed(keras.Input((8, 8, 1)), "caffe")


@pytest.mark.parametrize(
    ("name", "application"),
    [
        ("resnet", "ResNet50"),
        ("resnet_v2", "ResNet50V2"),
        ("densenet", "DenseNet121"),
        ("mobilenet_v3", "MobileNetV3Small"),
        ("convnext", "ConvNeXtTiny"),
    ],
)
def test_preprocessing_is_that_of_keras_applications(name: str, application: str) -> None:
    module = importlib.import_module(f"keras.applications.{name}")
    expected = module.preprocess_input(255.0 * X.copy())
    inputs = keras.Input((12, 12, 3))
    model = keras.Model(inputs, preprocessed(inputs, preprocessing_of(application)))
    np.testing.assert_allclose(model(X), expected, rtol=1e-5, atol=1e-4)


def test_every_model_of_keras_applications_is_known() -> None:
    names = applications()
    assert "MobileNetV3Small" in names and "ConvNeXtTiny" in names
    assert all(preprocessing_of(name) != "none" for name in names)


def test_before_meta_training_the_adapter_is_the_identity() -> None:
    """Nearest centroids of the backbone's own features, whatever is adapted."""
    backbone = sequential()
    features = np.asarray(backbone(X)).mean((1, 2))
    features /= np.linalg.norm(features, axis=-1, keepdims=True)
    labels = np.array([0, 1])
    expected = 10.0 * features @ features.T
    for fields in (
        dict(adapter="residual", adapt="film", train_last_block=True),
        dict(adapter="residual", adapt="last-block", warp=False),
        dict(adapter="attention"),
        dict(adapter="attention", train_last_block=True, warp=False),
    ):
        model = models.backbone_learner(backbone, 2, input_shape=(12, 12, 3), **fields)
        learner = warptf.OnlineMetaLearner(
            model, warptf.inner_optimizers.SGD(0.1), inner_steps=0, objective=None
        )
        learner.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        found = learner.adapt(X, labels)(X)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_attention_weights_positions_by_their_scores() -> None:
    backbone = sequential()
    model = models.backbone_learner(backbone, 2, input_shape=(12, 12, 3), adapter="attention")
    parts = backbone_parts(model)
    vector = keras.Model(parts.classifier.inputs, parts.classifier.get_layer("unit").output)
    kernel = parts.classifier.get_layer("warp_adapter_score").layer.kernel
    kernel.assign(np.random.default_rng(1).normal(size=kernel.shape))
    positions = np.asarray(backbone(X)).reshape(2, -1, 4)
    lengths = np.linalg.norm(positions, axis=-1, keepdims=True)
    scores = np.exp(2.0 * positions / lengths @ kernel.numpy())
    expected = (scores * positions).sum(1) / scores.sum(1)
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(vector(parts.features(X)), expected, rtol=1e-4, atol=1e-5)
    assert [v.shape for v in warptf.partition(model).warp_variables] == [(4, 1), (4,), (4,)]


def test_attention_takes_the_place_of_a_pooling_that_ends_the_backbone() -> None:
    shape = dict(input_shape=(12, 12, 3), adapter="attention")
    pooled = branching()
    model = models.backbone_learner(pooled, 2, **shape)
    maps = backbone_parts(model).features(X)
    np.testing.assert_allclose(np.mean(maps, (1, 2)), pooled(X), rtol=1e-5)
    flat = keras.Sequential([keras.Input((12, 12, 3)), Layers.Conv2D(2, 3), Layers.Flatten()])
    with pytest.raises(ValueError, match=r"needs a backbone that gives a map .*\(None, 200\)"):
        models.backbone_learner(flat, **shape)


def test_the_dense_head_of_a_model_is_replaced() -> None:
    hidden = Layers.Dense(4, activation="tanh", name="hidden")
    model = keras.Sequential([keras.Input((3,)), hidden, Layers.Dense(5, name="logits")])
    made = models.class_mean_learner(model, 7, "euclidean")
    assert made.output_shape == (None, 7) and made.get_layer("hidden") is hidden
    assert isinstance(made.get_layer("logits"), ClassMeanHead)
    with pytest.raises(ValueError, match="must end with a Dense layer without activation"):
        models.class_mean_learner(keras.Sequential([keras.Input((3,)), hidden]))


def test_a_head_for_other_ways_keeps_all_that_was_learned() -> None:
    model = keras.Sequential([keras.Input((3,)), Layers.Dense(4), ClassMeanHead(2)])
    learner = warptf.OnlineMetaLearner(model, warptf.inner_optimizers.SGD(0.1), 2, objective=None)
    learner.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    more = warptf.with_model(learner, models.with_ways(model, 6))
    x = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    found = more.adapt(x[:2], np.arange(2))(x).numpy()[:, :2]
    np.testing.assert_allclose(found, learner.adapt(x[:2], np.arange(2))(x), rtol=1e-5)
    assert more.adapt(x, np.arange(6))(x).shape == (6, 6)
    with pytest.raises(ValueError, match="has no ClassMeanHead"):
        models.with_ways(keras.Sequential([keras.Input((3,)), Layers.Dense(4)]), 6)
    rates = warptf.inner_optimizers.LearnedSGD(granularity="parameter")
    rated = warptf.OnlineMetaLearner(model, rates, 2)
    with pytest.raises(ValueError, match="learned rates for"):
        warptf.with_model(rated, models.with_ways(model, 6))
