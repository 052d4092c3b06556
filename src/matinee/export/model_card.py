"""A model card: what was trained on what, how well it does, what it is for (Mitchell 2019)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from typing import Any

import numpy as np

from matinee.errors import printable
from matinee.evaluation.metrics import METRICS
from matinee.models.head import fitted_params
from matinee.models.recommender import Recommender
from matinee.models.registry import format_value
from matinee.storage.runs import finite_or_none


def model_card(model: Recommender, head: str | None = None, width: int | None = None) -> str:
    """The card of a model, in Markdown; `head` and `width` are those of the embeddings beside it,
    if there are any.

    >>> print(model_card(model).splitlines()[0])
    # Model card: unnamed data
    """
    data = _mapping(model.metadata.get("data"))
    sections = [
        f"# Model card: {_text(data.get('name') or 'unnamed data')}",
        f"{_model_names(model)}, {'described' if width is None else 'exported'} by matinee "
        f"{version('matinee')} on {date.today()}.",
        "## Data",
        _data(model, data),
        "## Hyperparameters",
        *(
            f"{name.capitalize()} head\n\n{_table(['setting', 'value'], _settings(params))}"
            for name, params in ((n, fitted_params(h)) for n, h in model.heads.items())
        ),
        "## Metrics",
        _metrics(model),
        *(() if width is None else ("## Embeddings", _embeddings(model, head, width))),
        "## Intended use",
        INTENDED if width is None else f"{INTENDED} {NEW_ONES}",
        "## Limits",
        LIMITS,
        "## Licence of the data",
        _text(data.get("licence") or "Unknown; ask whoever gave you the data."),
        *(() if width is None else (PERSONAL,)),
    ]
    return "\n\n".join(sections) + "\n"


INTENDED = "Ranking items for users, finding similar items, and research on recommendation."
NEW_ONES = "A new user or item has no embedding here: fold users in with matinee, or train again."
PERSONAL = (
    "Embeddings of users are made from what single people rated: treat them as personal data, and "
    "make sure that these terms allow it before you pass them on."
)
LIMITS = (
    "The model knows what people chose to rate or watch, not what they would have liked had they "
    "known it: popular items are recommended more often than they deserve, and users unlike most "
    "others get worse lists. Embeddings of items with few ratings come mostly from their "
    "attributes. The intervals above cover the choice of users alone, not other seeds or other "
    "times. Do not infer a person's traits from an embedding, and do not use it for decisions "
    "about people."
)


def _model_names(model: Recommender) -> str:
    names = [str(head.estimator.get("name")) for head in model.heads.values()]
    return f"A matrix factorization recommender ({' and '.join(map(_text, names))})"


def _data(model: Recommender, data: Mapping[str, Any]) -> str:
    users = int(np.count_nonzero(model.user_counts))
    noun = "interactions without ratings" if model.scale is None else "ratings"
    scale = f", {model.scale}" if model.scale else ""
    split = _mapping(model.metadata.get("split"))
    rows = {
        "name": data.get("name", "unknown"),
        "training set": f"{len(model.interactions.indices):,} {noun}{scale}",
        "users": f"{users:,}",
        f"{model.catalog.noun}s": f"{len(model.items):,}, "
        f"{int((model.item_counts > 0).sum()):,} of them in the training set",
        "split": ", ".join(f"{key} {format_value(value)}" for key, value in split.items()),
        "fingerprint": data.get("fingerprint", ""),
    }
    return _table(["", ""], [[name, value] for name, value in rows.items() if value])


def _settings(params: Mapping[str, Any]) -> list[list[Any]]:
    return [[name, format_value(value)] for name, value in params.items()]


def _metrics(model: Recommender) -> str:
    """A table of the metrics that tables show, of the test set of the run."""
    metrics = _mapping(model.metadata.get("metrics"))
    ranking = _mapping(metrics.get("ranking"))
    of_ranking = {name: _mapping(entry) for name, entry in _mapping(ranking.get("metrics")).items()}
    rows = [
        *(_row(name, metrics.get(name), metrics.get(f"{name}_ci")) for name in ("rmse", "mae")),
        *(
            _row(name, entry.get("value"), [entry.get("ci_low"), entry.get("ci_high")])
            for name, entry in of_ranking.items()
        ),
    ]
    shown = [row for row in rows if row]
    if not shown:
        return "None: this model was not evaluated on a test set."
    users = finite_or_none(ranking.get("n_users"))
    of_users = f" Rankings: {users:,.0f} test users." if users else ""
    table = _table(["metric", "value", "95% CI over users"], shown)
    return f"On the test set.{of_users}\n\n{table}"


def _row(name: str, value: Any, interval: Any) -> list[str]:
    """A metric as tables show it; nothing for what is no metric."""
    metric, number = METRICS.get(name), finite_or_none(value)
    if metric is None or not metric.in_tables or number is None:
        return []
    ends = interval if isinstance(interval, list | tuple) else ()
    bounds = [bound for bound in map(finite_or_none, ends) if bound is not None]
    shown = [format(bound, metric.format) for bound in bounds]
    return [metric.label, format(number, metric.format), " to ".join(shown)]


def _mapping(value: Any) -> Mapping[str, Any]:
    """What a manifest has under a name, if it is an object: others may have written it."""
    return value if isinstance(value, Mapping) else {}


def _embeddings(model: Recommender, head: str | None, width: int) -> str:
    both = head == "both" or (head is None and "both" in model.orders)
    name = "ranking and rating heads together" if both else f"{head or 'only'} head"
    of_scores = f"the {name}"
    return (
        f"`items.npy` and `users.npy` have {width} dimensions, those of {of_scores}. The plain dot "
        "product of a user's and an item's row is the item's score for the user: where the model "
        "has biases and a mean, the last two dimensions hold them. Take inner product, not cosine "
        "or Euclidean distance, in an index. `search_hnswlib.py` and `load_pgvector.py` are "
        "examples."
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(_text(cell) for cell in line)} |" for line in lines)


def _text(value: Any) -> str:
    """Text of others as one line of Markdown that can be no markup."""
    text = printable(str(value))
    return "".join(f"\\{c}" if c in r"\`*_[]<>|#" else c for c in text)
