"""What the examples in docstrings start from."""

import pytest

collect_ignore = ["matinee/service/store/migrations/env.py"]  # which only Alembic can run


@pytest.fixture(scope="session", autouse=True)
def _names(doctest_namespace: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> None:
    """`matinee`; `data` from a folder; `train`, `test`; `model` with both heads."""
    import matinee
    from matinee.data.synthetic import write_generated

    folder = tmp_path_factory.mktemp("data") / "generated"
    write_generated(folder, users=60, items=50, ratings=1500, seed=0)
    data = matinee.read(folder)
    train, test = data.split("random", test_fraction=0.1, seed=0)
    model = matinee.ALS(factors=4, iterations=3).fit(train)
    model = model.with_ranking(matinee.ImplicitALS(factors=4, iterations=3).fit(train))
    doctest_namespace.update(matinee=matinee, data=data, train=train, test=test, model=model)
