"""Vector environments of Gymnasium from what users have at hand."""

import copy
import functools
from typing import Any

import gymnasium

_MAKE = "a function that makes one, such as lambda: gymnasium.make(...)"


def vector_of(
    environment: Any, episodes: int, kwargs: dict[str, Any]
) -> gymnasium.vector.VectorEnv[Any, Any, Any]:
    """Returns a vector environment of as many episodes.

    Args:
        environment: an id, an `EnvSpec`, a `gymnasium.Env`, a `VectorEnv`, or a function that makes
            one of the last two. Of an `Env`, the first episode is its own, and the others are those
            of copies.
        episodes: the number of episodes.
        kwargs: passed on where the environment is made here.

    Raises:
        TypeError: it is nothing of that, or cannot be copied.
        ValueError: it has another number of episodes, begins the next ones in a way that cannot be
            used, or arguments are given for what is made already.
    """
    if isinstance(environment, str | gymnasium.envs.registration.EnvSpec):
        options: dict[str, Any] = {"vectorization_mode": "sync", **kwargs}
        return gymnasium.make_vec(environment, num_envs=episodes, **options)
    if isinstance(environment, gymnasium.Env | gymnasium.vector.VectorEnv):
        if kwargs:
            raise ValueError(
                f"environment {name_of(environment)} is made already, got {sorted(kwargs)} for it: "
                "leave them out."
            )
        made = environment
    elif callable(environment):
        made = environment(**kwargs)
    else:
        raise _no_environment("environment", environment)
    if isinstance(made, gymnasium.vector.VectorEnv):
        return _checked(made, episodes)
    if not isinstance(made, gymnasium.Env):
        raise _no_environment("what environment makes", made)
    if made is environment:
        others = [_copy(made) for _ in range(episodes - 1)]
    else:
        others = [environment(**kwargs) for _ in range(episodes - 1)]
    # Gymnasium wants functions, each of which it calls once.
    return gymnasium.vector.SyncVectorEnv([functools.partial(_itself, e) for e in (made, *others)])


def takes_seeds(vector: gymnasium.vector.VectorEnv[Any, Any, Any]) -> bool | None:
    """Returns whether a vector environment takes a seed for each episode; `None` for unknown.

    Args:
        vector: the vector environment.
    """
    own = (gymnasium.vector.SyncVectorEnv, gymnasium.vector.AsyncVectorEnv)
    return True if isinstance(vector.unwrapped, own) else None


def limit_of(vector: gymnasium.vector.VectorEnv[Any, Any, Any]) -> int | None:
    """Returns the most steps of an episode, as the environment is registered or wrapped.

    Args:
        vector: the vector environment.
    """
    own = getattr(vector.unwrapped, "envs", None)
    spec = vector.spec or (own[0].spec if own else None)
    return spec.max_episode_steps if spec else None


def name_of(made: Any) -> str:
    """Returns what messages call an environment: its id, or its class.

    Args:
        made: an environment, or a vector environment, of which the first counts.
    """
    own = getattr(made.unwrapped, "envs", None)
    first = own[0] if own else made
    return repr(first.spec.id) if first.spec else type(first.unwrapped).__name__


def _checked(
    vector: gymnasium.vector.VectorEnv[Any, Any, Any], episodes: int
) -> gymnasium.vector.VectorEnv[Any, Any, Any]:
    if vector.num_envs != episodes:
        raise ValueError(
            f"episodes must be {vector.num_envs}, as many as the vector environment of "
            f"{name_of(vector)} has, got {episodes}."
        )
    mode = vector.metadata.get("autoreset_mode")
    if mode == gymnasium.vector.AutoresetMode.DISABLED:
        raise ValueError(
            f"environment {name_of(vector)} has autoreset_mode {mode.value!r}, in which it cannot "
            "be stepped until its last episode has ended: make it with 'NextStep' or 'SameStep'."
        )
    return vector


def _itself(environment: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    return environment


def _copy(environment: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    try:
        return copy.deepcopy(environment)
    # Whatever it holds decides what cannot be copied, and how that is said.
    except Exception as error:
        raise TypeError(
            f"environment {name_of(environment)} cannot be copied for the other episodes "
            f"({type(error).__name__}: {error}): pass {_MAKE}."
        ) from error


def _no_environment(what: str, value: Any) -> TypeError:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    old = kind.startswith("gym.") or any(
        cls.__module__.startswith("gym.") for cls in type(value).__mro__
    )
    remedy = (
        "Gym's own environments have other spaces; wrap it in shimmy.GymV26CompatibilityV0(env=...)"
        if old
        else f"pass an id, an EnvSpec, an environment, or {_MAKE}"
    )
    return TypeError(f"{what} must be an environment of Gymnasium, got {kind}: {remedy}.")
