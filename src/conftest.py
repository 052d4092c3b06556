"""What the examples in docstrings start from."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _names(doctest_namespace: dict[str, object]) -> None:
    """`matinee`; `data` of 60 users and 50 movies; `train`, `test`; `model` with both heads."""
    import matinee
    from matinee.data import generate

    data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    train, test = data.split("random", test_fraction=0.1, seed=0)
    model = matinee.ALS(factors=4, iterations=3).fit(train)
    model = model.with_ranking(matinee.ImplicitALS(factors=4, iterations=3).fit(train))
    doctest_namespace.update(matinee=matinee, data=data, train=train, test=test, model=model)
