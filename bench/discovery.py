"""How far do lists go? What `discover` and `diverse` cost, and what they bring.

    python bench/discovery.py [DATASET ...] [--seeds N] [--json FILE]

A random fifth of the ratings is held out, seeds 0 to N - 1; values are means over seeds. Liked:
NDCG@10 of what was rated 4 or more. Coverage: share of the rated items that are in anybody's list.
Popular: share of places that go to the most rated tenth. Novelty: mean of -log2(share of users).
Genres: Kullback-Leibler divergence of a list's genres from those of what the user rated well.
Takes two minutes.
"""

import json
from statistics import mean

import numpy as np

import matinee
from matinee.evaluation import holdout
from matinee.evaluation.ranking_metrics import coverage, ndcg, novelty, popularity_share
from taste import LIKED, parser_of

DIALS = [
    *({"discover": far} for far in (0.0, 0.25, 0.5, 0.75, 1.0)),
    *({"diverse": far} for far in (0.1, 0.25, 0.5, 0.75)),
    {"discover": 0.5, "diverse": 0.25},
]


def evaluate_all(dataset, seed):
    """Of every setting of the dials, on one split."""
    train, test = dataset.split("random", test_fraction=0.2, seed=seed)
    task = holdout(train, test, min_rating=LIKED)
    model = matinee.fit(train)
    return [evaluate(model, task, dials) for dials in DIALS]


def evaluate(model, task, dials):
    """The metrics of lists made with these dials."""
    users = model.user_ids.values[task.users]
    lists = model.recommend(users, n=10, **dials)
    codes = model.catalog.ids.codes(lists["item_id"]).reshape(len(users), 10)
    relevant = np.zeros((len(users), len(model.items)), bool)
    rows = np.repeat(np.arange(len(users)), np.diff(task.relevant.indptr))
    relevant[rows, task.relevant.indices] = True
    hits = np.take_along_axis(relevant, codes, axis=1)
    counts, n_users = model.item_counts, np.count_nonzero(np.diff(model.interactions.indptr))
    return {
        "liked": float(ndcg(hits, relevant.sum(axis=1)).mean()),
        "coverage": coverage(codes, int(np.count_nonzero(counts))),
        "popular": float(popularity_share(codes, counts).mean()),
        "novelty": float(novelty(codes, counts, n_users).mean()),
        "genres": float(np.mean(list(divergences(model, task.users, codes)))),
    }


def divergences(model, users, codes):
    """Of each user's list."""
    genres = model.catalog.genre_matrix
    parts = genres / np.maximum(genres.sum(axis=1, keepdims=True), 1)
    indptr, items, values = model.interactions
    for user, listed in zip(users, codes, strict=True):
        own = slice(indptr[user], indptr[user + 1])
        liked = items[own][values[own] >= values[own].mean() - 1e-6]
        wanted, found = parts[liked].sum(axis=0), parts[listed].sum(axis=0)
        if wanted.sum() and found.sum():
            wanted, found = wanted / wanted.sum(), 0.99 * found / found.sum()
            found = found + 0.01 * wanted
            some = wanted > 0
            yield float((wanted[some] * np.log(wanted[some] / found[some])).sum())


def main():
    arguments = parser_of(__doc__, seeds=5).parse_args()
    everything = {}
    for name in arguments.datasets:
        dataset = matinee.read(name)
        runs = [evaluate_all(dataset, seed) for seed in range(arguments.seeds)]
        print(f"\n{dataset.name}, {arguments.seeds} seeds")
        rows = []
        for number, dials in enumerate(DIALS):
            values = {name: mean(run[number][name] for run in runs) for name in runs[0][0]}
            rows.append({**dials, **values})
            label = ", ".join(f"{dial} {value:g}" for dial, value in dials.items())
            change = {name: values[name] / rows[0][name] for name in values}
            print(
                f"{label:28} liked {values['liked']:.4f} ({change['liked'] - 1:+.1%})"
                f"  coverage {values['coverage']:.1%} (x {change['coverage']:.2f})"
                f"  popular {values['popular']:.1%} ({change['popular'] - 1:+.1%})"
                f"  novelty {values['novelty']:.2f}  genres {values['genres']:.3f}"
            )
        everything[dataset.name] = rows
    if arguments.json:
        arguments.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
