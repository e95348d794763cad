"""Groups of variables move as plain Keras' optimizers move them."""

import keras
import numpy as np
import pytest

from warptf.meta_learners.outer_update import OuterUpdate

STEPS = 3
SHAPES = {"phi": [(3, 2), (2,)], "theta_0": [(2, 4), (4,)], "hyper": [()]}
TOGETHER = [["phi", "theta_0", "hyper"]]
APART = [["phi", "hyper"], ["theta_0"]]

NO_RULE = ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")
RULES = [
    name
    for name, value in sorted(vars(keras.optimizers).items())
    if isinstance(value, type)
    and issubclass(value, keras.optimizers.Optimizer)
    and name not in NO_RULE
]


class Halving(keras.optimizers.schedules.LearningRateSchedule):
    """A user's schedule, which cannot be made from a configuration."""

    def __call__(self, step):
        return 0.05 * 0.5 ** keras.ops.cast(step, "float32")


# What Keras' optimizers share, two at a time: no two of clipnorm, clipvalue, global_clipnorm go
# together.
OPTIONS = {
    "norm of all": dict(global_clipnorm=0.3, weight_decay=0.2),
    "norm of each": dict(clipnorm=0.2, use_ema=True, ema_momentum=0.7),
    "values": dict(clipvalue=0.05, use_ema=True, ema_momentum=0.7, ema_overwrite_frequency=2),
    "schedule": dict(learning_rate=Halving(), weight_decay=0.2),
    "gathered": dict(gradient_accumulation_steps=2, use_ema=True, ema_overwrite_frequency=2),
    "scaled": dict(loss_scale_factor=64.0, global_clipnorm=0.3),
}


def variables():
    random = np.random.default_rng(0)
    return {
        group: [
            keras.Variable(random.normal(size=shape).astype("float32"), name=f"{group}_{index}")
            for index, shape in enumerate(shapes)
        ]
        for group, shapes in SHAPES.items()
    }


def gradients(step, scale=1.0):
    random = np.random.default_rng(step + 1)
    return {
        group: [scale * random.normal(size=shape).astype("float32") for shape in shapes]
        for group, shapes in SHAPES.items()
    }


def made(rule, excluded=(), **options):
    cls = getattr(keras.optimizers, rule)
    optimizer = cls(**{"learning_rate": 0.05, **options})
    # One variable by itself, others by name.
    optimizer.exclude_from_weight_decay(var_list=list(excluded), var_names=["theta_0_1"])
    return optimizer


def assert_same(found, expected):
    for group in SHAPES:
        for a, b in zip(found[group], expected[group], strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=group)


def check(rule, times, **options):
    """At each time, `apply` equals that of a plain optimizer over what moves then."""
    found, plain = variables(), variables()
    one = made(rule, [found["phi"][1]], **options)
    outer = OuterUpdate(found, SHAPES, dict.fromkeys(SHAPES, one), times)
    outer.start_averages()
    others = [made(rule, [plain["phi"][1]], **options) for _ in times]
    for step in range(STEPS):
        for number, (time, other) in enumerate(zip(times, others, strict=True)):
            # phi moves twice as often.
            for turn in range(2 if times is APART and number == 0 else 1):
                given = gradients(10 * step + turn)
                outer.apply({group: given[group] for group in time})
                factor = options.get("loss_scale_factor", 1.0)
                losses = gradients(10 * step + turn, factor)
                pairs = [
                    pair for group in time for pair in zip(losses[group], plain[group], strict=True)
                ]
                other.apply_gradients(pairs)
    assert_same(found, plain)
    assert int(one.iterations) == int(others[0].iterations)
    if options.get("use_ema"):
        one.finalize_variable_values([v for group in SHAPES for v in found[group]])
        for time, other in zip(times, others, strict=True):
            other.finalize_variable_values([v for group in time for v in plain[group]])
        assert_same(found, plain)


@pytest.mark.parametrize("rule", RULES)
def test_one_optimizer_moves_groups_as_one_for_each_time(rule):
    check(rule, APART, weight_decay=0.2, use_ema=True, ema_momentum=0.7, global_clipnorm=0.3)


@pytest.mark.parametrize("times", [TOGETHER, APART], ids=["together", "apart"])
@pytest.mark.parametrize("options", OPTIONS)
def test_options_mean_what_they_mean_in_keras(options, times):
    check("Adam", times, **OPTIONS[options])


def test_rates_set_later_hold_for_all_groups():
    for times in (TOGETHER, APART):
        found = variables()
        one = made("SGD")
        outer = OuterUpdate(found, SHAPES, dict.fromkeys(SHAPES, one), times)
        for rate in (0.0, lambda: 0.0, Halving()):
            before = [np.array(v) for group in SHAPES for v in found[group]]
            one.learning_rate = rate
            for time in times:
                outer.apply({group: gradients(0)[group] for group in time})
            after = [np.array(v) for group in SHAPES for v in found[group]]
            moved = [bool(np.any(a != b)) for a, b in zip(before, after, strict=True)]
            assert moved == [isinstance(rate, Halving)] * len(moved)


def test_what_does_not_move_has_no_place_in_the_optimizer():
    found = variables()
    one = made("Adam", use_ema=True)
    outer = OuterUpdate(found, ["phi"], dict.fromkeys(SHAPES, one), TOGETHER)
    before = [np.array(v) for v in found["theta_0"]]
    outer.apply(gradients(0))
    for a, b in zip(before, found["theta_0"], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not [v for v in one.variables if "theta_0" in v.name]


def test_the_average_of_what_never_moved_is_its_value():
    """Keras begins averages with the first update, and would write zeros."""
    found = variables()
    one = made("SGD", use_ema=True)
    outer = OuterUpdate(found, SHAPES, dict.fromkeys(SHAPES, one), APART)
    before = [np.array(v) for v in found["theta_0"]]
    outer.start_averages()
    outer.apply({group: gradients(0)[group] for group in APART[0]})
    one.finalize_variable_values([v for group in SHAPES for v in found[group]])
    for a, b in zip(before, found["theta_0"], strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_optimizer_of_its_own_moves_its_group_alone():
    found, plain = variables(), variables()
    rest, own = made("Adam", global_clipnorm=0.1), made("SGD", global_clipnorm=0.1)
    served = {"phi": rest, "theta_0": own, "hyper": rest}
    outer = OuterUpdate(found, SHAPES, served, TOGETHER)
    plain_rest, plain_own = made("Adam", global_clipnorm=0.1), made("SGD", global_clipnorm=0.1)
    for step in range(STEPS):
        given = gradients(step)
        outer.apply(given)
        for optimizer, groups in ((plain_rest, ["phi", "hyper"]), (plain_own, ["theta_0"])):
            pairs = [p for g in groups for p in zip(given[g], plain[g], strict=True)]
            optimizer.apply_gradients(pairs)
    assert_same(found, plain)


def test_keras_own_optimizer_of_many_serves_what_moves_together():
    def several():
        adam, sgd = keras.optimizers.Adam(0.1), keras.optimizers.SGD(0.1)
        chosen = keras.optimizers.OptimizerMap(adam, {"theta_0.*": sgd})
        return keras.optimizers.MultiOptimizer(chosen)

    found, plain = variables(), variables()
    outer = OuterUpdate(found, SHAPES, dict.fromkeys(SHAPES, several()), TOGETHER)
    other = several()
    for step in range(STEPS):
        outer.apply(gradients(step))
        given = gradients(step)
        other.apply_gradients([p for g in SHAPES for p in zip(given[g], plain[g], strict=True)])
    assert_same(found, plain)
    message = "MultiOptimizer, which moves all its variables at once.*phi and hyper and theta_0"
    with pytest.raises(ValueError, match=message):
        OuterUpdate(found, SHAPES, dict.fromkeys(SHAPES, several()), APART)


def test_an_optimizer_of_other_variables_is_refused():
    one = made("Adam")
    one.build([keras.Variable(np.zeros(3), name="other")])
    with pytest.raises(ValueError, match="built on other variables.*'phi_0'.*make a new one"):
        OuterUpdate(variables(), SHAPES, dict.fromkeys(SHAPES, one), TOGETHER)


def test_an_optimizer_that_scales_losses_by_itself_is_refused():
    one = keras.optimizers.LossScaleOptimizer(made("Adam"))
    with pytest.raises(ValueError, match="is a LossScaleOptimizer.*that is within"):
        OuterUpdate(variables(), SHAPES, dict.fromkeys(SHAPES, one), TOGETHER)
