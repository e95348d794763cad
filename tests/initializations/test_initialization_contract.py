import pytest
from contracts.initialization import Factory, check_initialization, initialization_examples


@pytest.mark.few(
    "Fixed-default",
    "MAML-default",
    "FirstOrderBilevelMAML-default",
    "ImplicitMAML-damped",
    "Leap-default",
    "Reptile-default",
    "MultiTask-default",
)
@pytest.mark.parametrize(
    "make", [pytest.param(f, id=n) for n, f in initialization_examples().items()]
)
def test_initialization_keeps_the_contract(make: Factory) -> None:
    check_initialization(make)
