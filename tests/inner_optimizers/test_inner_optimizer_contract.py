import pytest
from contracts.inner_optimizer import (
    Factory,
    check_inner_optimizer,
    inner_optimizer_examples,
)


@pytest.mark.parametrize(
    "make", [pytest.param(f, id=n) for n, f in inner_optimizer_examples().items()]
)
def test_inner_optimizer_keeps_the_contract(make: Factory) -> None:
    check_inner_optimizer(make)
