"""Partition, augment and compress: designating and inserting layers of existing models."""

from typing import Any

import keras
import numpy as np
import pytest

from warptf import layers
from warptf.architecture import DesignatedModel, designate, interleave
from warptf.partition import iterate_layers, partition

Dense = keras.layers.Dense
X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


def sequential() -> keras.Model:
    return keras.Sequential(
        [keras.Input((3,)), Dense(4, activation="tanh", name="hidden"), Dense(2, name="head")],
        name="learner",
    )


def functional() -> keras.Model:
    """Two inputs, two outputs, a shared layer, a branch, an operation and a nested model."""
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    shared = Dense(4, name="shared")
    encoder = keras.Sequential([keras.Input((4,)), Dense(4, name="inner")], name="encoder")
    a, b = shared(left), shared(right)
    merged = keras.ops.tanh(a - 2.0 * b) + encoder(a)
    outputs = {"first": Dense(2, name="first")(merged), "second": Dense(1, name="second")(b)}
    return keras.Model([left, right], outputs, name="branches")


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder = keras.Sequential([Dense(4, activation="tanh"), Dense(4)])
        self.head = Dense(2)

    def build(self, input_shape: Any) -> None:
        self.encoder.build(input_shape)
        self.head.build(self.encoder.compute_output_shape(input_shape))

    def call(self, inputs: Any) -> Any:
        return self.head(self.encoder(inputs))


def subclassed() -> Subclassed:
    model = Subclassed()
    model(X)
    return model


def part_names(model: keras.Model) -> dict[str, list[str]]:
    """The layers that own the variables of each part."""
    parts = partition(model)
    named = {"task": parts.task_variables, "warp": parts.warp_variables}
    return {
        kind: list(dict.fromkeys(v.path.split("/")[-2] for v in variables))
        for kind, variables in named.items()
    }


# Designate.


@pytest.mark.parametrize(
    "selector",
    [
        "hidden",
        lambda m: m.get_layer("hidden"),
        lambda m: lambda layer: layer.units == 4,
        lambda m: iter(["hidden"]),
        lambda m: [m.get_layer("hidden"), "hidden"],
    ],
)
def test_selectors(selector: Any) -> None:
    model = sequential()
    model_selector = selector(model) if callable(selector) else selector
    parts = part_names(designate(model, warp=model_selector))
    assert parts == {"task": ["head"], "warp": ["hidden"]}


def test_selecting_by_class_and_by_path() -> None:
    model = functional()
    assert part_names(designate(model, warp=keras.Sequential)) == {
        "task": ["shared", "first", "second"],
        "warp": ["inner"],
    }
    assert part_names(designate(model, warp=[Dense], task="encoder")) == {
        "task": [],
        "warp": ["shared", "inner", "first", "second"],
    }
    assert part_names(designate(model, warp="encoder", task="encoder/inner"))["warp"] == []


def test_the_model_is_shared_not_copied_and_called_the_same() -> None:
    for model in (sequential(), subclassed()):
        designated = designate(model, warp=lambda layer: getattr(layer, "units", 0) == 2)
        np.testing.assert_array_equal(designated(X), model(X))
        assert all(a is b for a, b in zip(designated.weights, model.weights, strict=True))
        assert len(partition(model).warp_variables) == 0


def test_shapes_are_those_of_the_model() -> None:
    model = functional()
    designated = designate(model, warp="shared")
    assert designated.built
    assert designated.input_shape == model.input_shape
    assert designated.output_shape == model.output_shape
    assert [t.name for t in designated.inputs] == ["left", "right"]
    assert designated.outputs == model.outputs


def test_training_reaches_the_model() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5), Dense(2, name="d")])
    designated = designate(model, warp="d")
    np.testing.assert_array_equal(designated(X), model(X))
    assert not np.array_equal(designated(X, training=True), model(X))


@pytest.mark.parametrize("make", [sequential, functional, subclassed])
def test_designations_are_saved_and_loaded(make: Any, tmp_path: Any) -> None:
    model = make()
    inputs = [X, X] if make is functional else X
    narrow = [layer for layer in model.layers if getattr(layer, "units", 0) == 2]
    designated = designate(model, warp=narrow)
    designated.save(tmp_path / "model.keras")
    keras.backend.clear_session()
    Subclassed()  # Shifts the automatic names of the layers that are made anew.
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected, outputs = designated(inputs), loaded(inputs)
    for a, b in zip(keras.tree.flatten(expected), keras.tree.flatten(outputs), strict=True):
        np.testing.assert_array_equal(a, b)
    before, after = partition(designated), partition(loaded)
    for kind in ("task_variables", "warp_variables"):
        assert [v.shape for v in getattr(before, kind)] == [v.shape for v in getattr(after, kind)]
    assert len(after.warp_variables) == 2


def test_designating_anew_replaces_and_adds() -> None:
    once = designate(sequential(), warp="hidden")
    twice = designate(once, warp="head", task="hidden")
    assert part_names(twice) == {"task": ["hidden"], "warp": ["head"]}
    assert twice.model is once.model
    assert part_names(once) == {"task": ["head"], "warp": ["hidden"]}


def test_a_designated_model_nested_in_another_keeps_its_declarations() -> None:
    inputs = keras.Input((3,))
    model = keras.Model(inputs, Dense(1, name="top")(designate(sequential(), warp="head")(inputs)))
    assert part_names(model) == {"task": ["hidden", "top"], "warp": ["head"]}


def test_a_designated_model_trains_and_is_exported(tmp_path: Any) -> None:
    designated = designate(sequential(), warp="hidden")
    expected = designated(X)
    designated.export(tmp_path / "served", verbose=False)
    served = keras.layers.TFSMLayer(tmp_path / "served", call_endpoint="serve")
    np.testing.assert_allclose(served(X), expected, rtol=1e-6)
    designated.compile("sgd", "mse")
    designated.fit(X, np.zeros((4, 2)), verbose=0)
    assert not np.array_equal(designated(X), expected)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"warp": "hiden"}, "warp='hiden' matches no layer: the model's layers are hidden, head"),
        ({"warp": keras.layers.Conv2D}, "matches no layer: the model's layers are hidden, head"),
        ({"task": ["hidden", "tail"]}, "task='tail' matches no layer"),
        ({"warp": "hidden", "task": Dense}, "warp and task both select hidden"),
        ({}, "select no layer: pass at least one"),
    ],
)
def test_wrong_selections_are_named(arguments: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        designate(sequential(), **arguments)


def test_wrong_types_are_named() -> None:
    with pytest.raises(TypeError, match="warp must be a layer, a name, .* got 3"):
        designate(sequential(), warp=3)
    with pytest.raises(TypeError, match="model must be a keras.Model, got Dense"):
        designate(Dense(2), warp="a")


def test_unbuilt_models_are_an_error() -> None:
    for model in (Subclassed(), keras.Sequential([Dense(2)])):
        with pytest.raises(ValueError, match="is not built.*call it on a batch"):
            designate(model, warp=Dense)


def test_ambiguous_names_are_an_error() -> None:
    inputs = keras.Input((3,))
    x = inputs
    for name in ("a", "b"):
        x = keras.Sequential([keras.Input(x.shape[1:]), Dense(3, name="same")], name=name)(x)
    model = keras.Model(inputs, x)
    with pytest.raises(ValueError, match="'same' is ambiguous: it matches a/same, b/same"):
        designate(model, warp="same")
    assert len(partition(designate(model, warp="b/same")).warp_variables) == 2


def test_a_path_that_leads_nowhere_is_an_error() -> None:
    with pytest.raises(ValueError, match="leads to no layer.*no 'tail' in 'learner'"):
        DesignatedModel(sequential(), warp=[["tail"]])


# Interleave.


def test_augmenting_a_sequential_model() -> None:
    model = sequential()
    augmented = interleave(model, after="hidden", warp=layers.WarpDense)
    assert [type(layer) for layer in augmented.layers] == [Dense, layers.WarpDense, Dense]
    warp = augmented.layers[1]
    warp.kernel.assign(np.diag([1.0, 2.0, 3.0, 4.0]))
    hidden = np.tanh(X @ model.layers[0].kernel.numpy())
    np.testing.assert_allclose(
        augmented(X), hidden * [1, 2, 3, 4] @ model.layers[1].kernel.numpy(), rtol=1e-5, atol=1e-6
    )
    assert augmented.layers[0] is model.layers[0]
    assert [layer.name for layer in model.layers] == ["hidden", "head"]


def test_augmenting_a_sequential_model_that_is_not_built() -> None:
    augmented = interleave(
        keras.Sequential([Dense(4), Dense(2)]), after=Dense, warp=layers.WarpScale
    )
    assert augmented(X).shape == (4, 2)
    assert len(partition(augmented).warp_variables) == 2


def test_augmenting_branches_shared_layers_operations_and_nested_models() -> None:
    model = functional()
    augmented = interleave(
        model, after=["shared", "encoder/inner", "first"], warp=lambda: layers.WarpScale()
    )
    scales = [
        layer for _, layer in iterate_layers(augmented) if isinstance(layer, layers.WarpScale)
    ]
    assert len(scales) == len(partition(augmented).warp_variables) == 3
    shared, inner, first, second = (
        next(layer for _, layer in iterate_layers(model) if layer.name == name).kernel.numpy()
        for name in ("shared", "inner", "first", "second")
    )
    rng = np.random.default_rng(1)
    factors = {}
    for scale in scales:
        factors[scale.scale.shape[0], "encoder" in scale.path] = value = rng.normal(
            size=scale.scale.shape
        ).astype("float32")
        scale.scale.assign(value)
    s_shared, s_inner, s_first = factors[4, False], factors[4, True], factors[2, False]
    a, b = (x @ shared * s_shared for x in (X, X + 1))
    merged = np.tanh(a - 2 * b) + a @ inner * s_inner
    outputs = augmented([X, X + 1])
    np.testing.assert_allclose(outputs["first"], merged @ first * s_first, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs["second"], b @ second, rtol=1e-4, atol=1e-5)


def test_interleaved_models_are_saved_and_loaded(tmp_path: Any) -> None:
    for number, model in enumerate(
        (
            interleave(functional(), after=Dense, warp=layers.WarpFiLM),
            interleave(functional(), after=Dense, task=lambda layer: Dense(layer.units)),
        )
    ):
        file = tmp_path / f"{number}.keras"
        model.save(file)
        loaded = keras.models.load_model(file)
        outputs, expected = loaded([X, X]), model([X, X])
        for name in ("first", "second"):
            np.testing.assert_array_equal(outputs[name], expected[name])
        assert part_names(loaded) == part_names(model)


def test_the_factory_may_look_at_the_layer_before_and_is_wrapped_if_it_makes_no_warp() -> None:
    augmented = interleave(sequential(), after=Dense, warp=lambda layer: Dense(layer.units))
    assert [layer.layer.units for layer in augmented.layers[1::2]] == [4, 2]
    assert all(isinstance(layer, layers.Warp) for layer in augmented.layers[1::2])


def test_compressing_declares_all_but_the_inserted_layers_warp() -> None:
    compressed = interleave(
        sequential(), after="hidden", task=lambda: Dense(4, name="adapter", use_bias=False)
    )
    assert part_names(compressed) == {"task": ["adapter"], "warp": ["hidden", "head"]}


def test_compressing_inside_a_nested_model() -> None:
    compressed = interleave(
        functional(), after="encoder/inner", task=lambda: Dense(4, name="adapter")
    )
    assert part_names(compressed) == {
        "task": ["adapter"],
        "warp": ["shared", "inner", "first", "second"],
    }


def test_inserted_task_layers_stay_context() -> None:
    compressed = interleave(sequential(), after="hidden", task=layers.FiLMTaskEmbedding)
    parts = partition(compressed)
    assert (len(parts.task_variables), len(parts.context_variables)) == (0, 2)


def test_designations_survive_interleaving() -> None:
    designated = designate(functional(), warp=["shared", "encoder"])
    augmented = interleave(designated, after="encoder/inner", warp=layers.WarpScale)
    assert isinstance(augmented, DesignatedModel)
    names = part_names(augmented)
    assert names["task"] == ["first", "second"]
    assert set(names["warp"]) >= {"shared", "inner"} and len(names["warp"]) == 3


def test_subclassed_models_are_refused() -> None:
    with pytest.raises(TypeError, match="is subclassed .*warptf.designate"):
        interleave(subclassed(), after=Dense, warp=layers.WarpDense)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({}, ValueError, "exactly one of warp and task"),
        ({"warp": Dense, "task": Dense}, ValueError, "exactly one of warp and task"),
        ({"warp": layers.WarpScale()}, TypeError, "warp must be a function or class"),
        ({"warp": lambda: None}, TypeError, "warp must make a Keras layer .* got NoneType"),
        ({"warp": layers.FiLMTaskEmbedding}, TypeError, "no TaskLayer, got FiLMTaskEmbedding"),
        ({"task": layers.WarpScale}, TypeError, "no WarpLayer, got WarpScale"),
        ({"after": (), "warp": layers.WarpScale}, ValueError, "after selects no layer"),
        ({"after": "tail", "warp": layers.WarpScale}, ValueError, "after='tail' matches no layer"),
    ],
)
def test_wrong_insertions_are_named(arguments: dict, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        interleave(sequential(), **{"after": "hidden", **arguments})


def test_layers_that_cannot_be_followed_are_named() -> None:
    inputs = keras.Input((4, 3))
    lstm = keras.layers.LSTM(2, return_state=True, name="lstm")
    model = keras.Model(inputs, lstm(inputs)[0])
    with pytest.raises(ValueError, match="'lstm', which returns several outputs"):
        interleave(model, after="lstm", warp=layers.WarpScale)
    wrapped = keras.layers.TimeDistributed(Dense(2, name="inside"), name="outside")
    model = keras.Model(inputs, wrapped(inputs))
    with pytest.raises(ValueError, match="outside/inside, inside a layer that is neither"):
        interleave(model, after="inside", warp=layers.WarpScale)
