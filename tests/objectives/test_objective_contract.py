import pytest
from contracts.objective import Factory, check_objective, objective_examples


@pytest.mark.parametrize("make", [pytest.param(f, id=n) for n, f in objective_examples().items()])
def test_objective_keeps_the_contract(make: Factory) -> None:
    check_objective(make)
