"""One user's taste, and the reasons for their recommendations."""

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.analysis.traits import POPULARITY_BANDS, traits_of_items
from matinee.analysis.users import explain_recommendations, genre_profile
from matinee.errors import SettingError, UnknownIdError
from matinee.models import ALS, EASE, Popularity, UserProfile


def mean(values):
    return sum(values) / len(values) if values else None


def counted(model, interactions):
    """The table of `genre_profile` for {item: rating}, by counting."""
    traits = traits_of_items(model)
    everybody = []
    for at, user in enumerate(model.user_ids.values):
        if model.interactions.indptr[at] < model.interactions.indptr[at + 1]:
            one = model.user_profile(user)
            everybody.append(dict(zip(one.items.tolist(), one.values.tolist(), strict=True)))
    for name, kind, column in zip(traits.names, traits.kinds, traits.matrix.T, strict=True):
        own = set(np.flatnonzero(column).tolist())
        yield (
            name,
            kind,
            mean([item in own for item in interactions]),
            mean([mean([item in own for item in one]) for one in everybody]),
            mean([values for item, values in interactions.items() if item in own]),
            mean([values for one in everybody for item, values in one.items() if item in own]),
        )


def compare(found, rows):
    columns = ["trait", "kind", "share", "share_of_all", "mean_rating", "mean_rating_of_all"]
    assert found.columns == columns
    for row, right in zip(found.rows(), rows, strict=True):
        assert row[:2] == right[:2]
        for one, other in zip(row[2:], right[2:], strict=True):
            assert (one is None) == (other is None)
            assert one is None or one == pytest.approx(other, abs=1e-5)


@pytest.mark.parametrize("user", [1, 77])
def test_taste_is_counted(model, user):
    profile = model.user_profile(user)
    interactions = dict(zip(profile.items.tolist(), profile.values.tolist(), strict=True))
    compare(genre_profile(model, user), counted(model, interactions))


def test_taste_of_a_new_user_is_that_of_their_ratings(model):
    ann = model.fold_in({1: 5, 2: 0.5, 9: 4})
    compare(genre_profile(model, ann), counted(model, {0: 5.0, 1: 0.5, 8: 4.0}))


def test_taste_of_a_user_with_a_single_rating(by_hand):
    genres = [["War"], ["Drama"], ["War", "Drama"], []]
    model = by_hand(np.eye(4), seen=[[2], [0, 1, 3], []], genres=genres)
    values = float(model.user_profile(1).values[0])
    found = genre_profile(model, 1)
    compare(found, counted(model, {2: values}))
    assert found.filter(pl.col("kind") == "genre")["share"].to_list() == [1, 1]
    # user 2 gave a third of three ratings to each; user 3, without any, counts for nothing
    assert found.filter(trait="War")["share_of_all"].item() == pytest.approx(2 / 3)


def test_taste_of_a_user_without_ratings_is_unknown(model):
    found = genre_profile(model, model.fold_in({}))
    assert found["share"].null_count() == found["mean_rating"].null_count() == found.height
    assert found["share_of_all"].null_count() == 0


def test_values_of_what_nobody_rated_are_missing(by_hand):
    model = by_hand(np.eye(3), seen=[[0, 1]], genres=[["War"], ["War"], ["Polka"]])
    row = genre_profile(model, 1).filter(trait="Polka").row(0)
    assert row == ("Polka", "genre", 0.0, 0.0, None, None)


def test_taste_without_genres_and_years_is_of_the_well_known(by_hand):
    found = genre_profile(by_hand(np.eye(5)), 1)
    assert found["trait"].to_list() == list(POPULARITY_BANDS)
    assert found["share"].sum() == pytest.approx(1)


def test_taste_asks_for_users_that_there_are(model):
    with pytest.raises(UnknownIdError):
        genre_profile(model, 12_345)
    with pytest.raises(UnknownIdError):
        explain_recommendations(model, 12_345)


@pytest.mark.parametrize("code", [-1, 200])
def test_taste_refuses_a_user_of_movies_that_the_model_does_not_have(model, code):
    with pytest.raises(SettingError, match="another model"):
        genre_profile(model, UserProfile(np.int32([code]), np.float32([5])))


@pytest.mark.parametrize("because", [0, 1, 3, 1000])
def test_reasons_are_the_ratings_that_add_most(both, because):
    for user in (1, both.fold_in({1: 5, 2: 1, 30: 4.5})):
        found = explain_recommendations(both, user, 4, because)
        assert found.drop("because").equals(both.recommend(user, 4))
        for item, titles in found.select("item_id", "because").rows():
            parts = both.explain(user, item).rows(named=True)
            adding = {
                row["title"]: row["contribution"]
                for row in parts
                if row["component"] == "rating" and row["contribution"] > 0
            }
            best = sorted(adding, key=lambda title: -adding[title])
            assert titles == best[:because]


def test_reasons_by_values_leave_out_what_speaks_against_and_what_is_general(model):
    found = explain_recommendations(model, 5, 20, 1000)
    interactions = {model.catalog.titles[code] for code in model.user_profile(5).items}
    some = [set(titles) for titles in found["because"]]
    assert all(titles <= interactions for titles in some)
    assert any(titles < interactions for titles in some)


def test_reasons_of_item_weights_are_the_movies_most_watched_together(parts):
    model = EASE(regularization=20).fit(parts[0])
    found = explain_recommendations(model, 3, 5, 2)
    interactions = model.user_profile(3).items.tolist()
    for item, titles in found.select("item_id", "because").rows():
        weights = {
            model.catalog.titles[j]: float(model.ranking_head.weights[j, item - 1])
            for j in interactions
        }
        adding = [title for title in weights if weights[title] > 0]
        assert titles == sorted(adding, key=lambda title: -weights[title])[:2]


def test_popularity_and_users_without_ratings_have_recommendations_without_reasons(parts, model):
    popular = Popularity().fit(parts[0])
    for one, user in ((popular, 1), (model, model.fold_in({}))):
        found = explain_recommendations(one, user, 3)
        assert found.height == 3
        assert found["because"].to_list() == [[], [], []]


@pytest.mark.slow
def test_a_network_has_lists_without_reasons(parts):
    pytest.importorskip("torch")
    from matinee.models.neural import NeuMF

    model = NeuMF(epochs=1, device="cpu").fit(parts[0], threads=1)
    found = explain_recommendations(model, 1, 3)
    assert found["because"].to_list() == [[], [], []]
    assert found.schema["because"] == pl.List(pl.String)


def test_where_all_is_seen_there_is_nothing_to_give_reasons_for(by_hand):
    found = explain_recommendations(by_hand(np.eye(3)), 1)
    assert found.is_empty()
    assert found.schema["because"] == pl.List(pl.String)


def test_reasons_keep_titles_as_text(by_hand):
    titles = [f"<script>alert({i})</script>" for i in range(3)]
    model = by_hand(
        np.ones((3, 2)), seen=[[0], [1, 2]], user_factors=np.ones((2, 2)), titles=titles
    )
    ann = model.fold_in({1: 5})
    assert explain_recommendations(model, ann)["because"].to_list() == [[titles[0]]] * 2


def test_reasons_are_of_the_movie_listed_whatever_others_are_called():
    """Ids are text, and each is the title of another movie."""
    table = pl.DataFrame(
        {
            "user": [1, 1, 1, 2, 2, 2, 3, 3, 4, 4],
            "item": ["a", "b", "c", "a", "b", "d", "b", "d", "c", "e"],
            "rating": [5.0, 1.0, 4.0, 5.0, 2.0, 5.0, 5.0, 1.0, 4.0, 5.0],
        }
    )
    called = {"a": "b", "b": "c", "c": "d", "d": "e", "e": "a"}
    plain = ALS(factors=2, regularization=0.02).fit(matinee.read(table))
    named = table.with_columns(title=pl.col("item").replace_strict(called))
    crossed = ALS(factors=2, regularization=0.02).fit(matinee.read(named))
    right = [
        [called[one] for one in titles] for titles in explain_recommendations(plain, 1)["because"]
    ]
    assert explain_recommendations(crossed, 1)["because"].to_list() == right


def test_a_taste_without_ratings_has_no_mean_rating(generated, unrated):
    rated, counted = (genre_profile(EASE().fit(data), 7) for data in (generated[0], unrated))
    means = ["mean_rating", "mean_rating_of_all"]
    assert counted.drop(means).equals(rated.drop(means))
    assert [counted[name].null_count() for name in means] == [len(counted)] * 2
