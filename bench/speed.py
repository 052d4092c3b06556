"""How fast, on 32 million synthetic ratings: every stage, against peers and the machine.

    python bench/speed.py [--json FILE] [--only PART] [--rounds N]

The data (`matinee.data.synthetic`, in the shape of ml-32m) are written once as MovieLens CSV
under the cache folder, peers are installed beside them into environments of their own. What is
compared runs in turns, each time in a fresh process with two threads; numbers are medians.
Trust ratios rather than seconds. Needs 8 GB of memory (24 GB for `--only growth`) and an hour.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

import matinee
import speed_ingest
import speed_start
import speed_top_n
from matinee.data import generate, write_generated
from matinee.evaluation import evaluate_ratings
from matinee.storage.cache_folder import cache_folder
from peers import run_peer, temporary_folder

SIZE = {"users": 200_948, "items": 84_432, "ratings": 32_000_204}
ITERATIONS = 6  # timed in one process; the first is left out
LIBMF = [  # the best of a wider search, the very best first
    {"k": 64, "nr_iters": 12, "lambda_p1": 0, "lambda_q1": 0, "lambda_p2": 0.05, "lambda_q2": 0.05},
    {"k": 64, "nr_iters": 20, "lambda_p1": 0, "lambda_q1": 0, "lambda_p2": 0.05, "lambda_q2": 0.05},
    {"k": 64, "nr_iters": 12, "lambda_p1": 0, "lambda_q1": 0, "lambda_p2": 0.04, "lambda_q2": 0.04},
]
OURS = {"regularization": 2.0, "iterations": 6}  # tuned with as many trials
CMFREC = {"k": 64, "lambda_": 0.05, "scale_lam": True, "method": "als", "use_cg": True, "niter": 6}
GROWTH = (0.1, 1, 10)  # times SIZE, in users and ratings; the movies stay


def folder() -> Path:
    """Where the data are, written at first use."""
    path = cache_folder() / "generated-32m"
    if not (path / "ratings.csv").exists():
        write_generated(path, **SIZE)
    return path


def train_and_test():
    """The training set, and the test set of a tenth."""
    return matinee.read(folder()).split("random", test_fraction=0.1, seed=0)


def save_for_peers(folder):
    """Both sets as arrays, for interpreters without matinee."""
    train, test = train_and_test()
    by_user = train.ratings.by_user
    path = Path(folder) / "split.npz"
    np.savez(
        path,
        users=np.int64(SIZE["users"]),
        items=np.int64(SIZE["items"]),
        train_indptr=by_user.indptr,
        train_indices=by_user.indices,
        user=train.ratings.user,
        item=train.ratings.item,
        rating=train.ratings.values,
        test_user=test.ratings.user,
        test_item=test.ratings.item,
        test_rating=test.ratings.values,
    )
    return str(path)


def child(task, *arguments):
    """What a function of this file returns in a process of its own."""
    command = [sys.executable, __file__, "--child", task, json.dumps(arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    return json.loads(done.stdout.splitlines()[-1])


def seconds_of_iterations(settings):
    """Median seconds of an iteration, computing the errors included."""
    train, _ = train_and_test()
    model = matinee.ALS(iterations=ITERATIONS, **settings).fit(train, threads=2)
    return float(np.median(np.diff(model.rating_head.history["seconds"].to_numpy())))


def iterations(rounds):
    """Seconds of an iteration over all users and movies, ours and implicit's in turn."""
    cases = {
        "64 factors, cg": ({"factors": 64}, ["64", str(ITERATIONS)]),
        "64 factors, exact": (
            {"factors": 64, "solver": "cholesky"},
            ["64", str(ITERATIONS), "exact"],
        ),
        "128 factors, cg": ({"factors": 128}, ["128", str(ITERATIONS)]),
    }
    pairs = {case: [] for case in cases}
    with temporary_folder() as temporary:
        path = save_for_peers(temporary)
        for _ in range(rounds):
            for case, (ours, theirs) in cases.items():
                peer = float(run_peer("implicit", "peer_implicit.py", "seconds", path, *theirs))
                pairs[case].append((child("seconds_of_iterations", ours), peer))
                note(f"{case}: {pairs[case][-1]}")
    return {
        case: {
            "seconds": statistics.median(mine for mine, _ in both),
            "implicit": statistics.median(peer for _, peer in both),
            "ratio": statistics.median(peer / mine for mine, peer in both),
            "pairs": both,
        }
        for case, both in pairs.items()
    }


def curve(settings):
    """Test RMSE of ours, iteration by iteration."""
    train, test = train_and_test()
    history = matinee.ALS(**settings).fit(train, test=test, threads=2).rating_head.history
    return history["test_rmse"].to_list()


def seconds_to(settings):
    """Seconds of a whole fit from parsed ratings, and its test RMSE."""
    train, test = train_and_test()
    _ = train.ratings.by_user, train.ratings.by_item  # sorted before timing
    matinee.ALS(factors=2, iterations=1).fit(train, threads=2)  # compiled
    started = time.perf_counter()
    model = matinee.ALS(**settings).fit(train, threads=2)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "rmse": evaluate_ratings(model, train, test).rmse}


def quality(rounds):
    """Test RMSE of the defaults; and the time to the best test RMSE of a peer, both tuned."""
    with temporary_folder() as temporary:
        path = save_for_peers(temporary)

        def peer(name, settings):
            script = f"peer_{name.removesuffix('-avx')}.py"
            result = json.loads(run_peer(name, script, path, json.dumps(settings)))
            note(f"{name} {settings}: {result}")
            return result

        reached = [peer("libmf-avx", settings) for settings in LIBMF]
        best = min(range(len(LIBMF)), key=lambda index: reached[index]["rmse"])
        target = reached[best]["rmse"]
        rmses = child("curve", OURS)
        needed = next(number for number, rmse in enumerate(rmses, 1) if rmse <= target)
        runs = {"matinee": [], "libmf": [], "libmf-avx": []}
        for _ in range(rounds):
            runs["matinee"].append(child("seconds_to", {**OURS, "iterations": needed}))
            runs["libmf"].append(peer("libmf", LIBMF[best]))
            runs["libmf-avx"].append(peer("libmf-avx", LIBMF[best]))
            note(f"matinee, {needed} iterations: {runs['matinee'][-1]}")
        cmfrec = peer("cmfrec", CMFREC)
    mine = [run["seconds"] for run in runs["matinee"]]
    return {
        "defaults, test rmse by iteration": child("curve", {}),
        "libmf, by settings": reached,
        "cmfrec": cmfrec,
        "target": target,
        "ours, test rmse by iteration": rmses,
        "iterations needed": needed,
        "runs": runs,
        "seconds": statistics.median(mine),
        "ratios": {
            name: statistics.median(
                run["seconds"] / own for run, own in zip(runs[name], mine, strict=True)
            )
            for name in ("libmf", "libmf-avx")
        },
    }


def command(rounds):
    """`matinee train ratings.csv`, nothing cached, to the saved run; and `recommend` on it."""
    code = "from matinee.cli.app import main; main()"
    with temporary_folder() as temporary:
        run = Path(temporary, "run")
        train = [sys.executable, "-c", code, "train", folder() / "ratings.csv", "--run", run]
        environment = {**os.environ, "MATINEE_CACHE": str(Path(temporary, "data"))}
        started = time.perf_counter()
        process = subprocess.Popen(train, env=environment, stdout=sys.stderr)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit("matinee train failed")
        return {
            "seconds": time.perf_counter() - started,
            "peak_gb": usage.ru_maxrss / 1e6,
            "start": speed_start.start_up(run, "7"),
        }


def top_n(rounds):
    """Top ten for all users and for one, with 64 factors."""
    train, _ = train_and_test()
    rating = matinee.ALS().fit(train)
    ranking = matinee.ImplicitALS(factors=64).fit(train)
    del train
    return speed_top_n.measure(rating, ranking)


def grown(times):
    """Seconds of an iteration on so many times the ratings and users, and peak memory."""
    size = {name: round(number * times) for name, number in SIZE.items()}
    data, _ = generate(**{**size, "items": SIZE["items"]})
    model = matinee.ALS(iterations=4).fit(data, threads=2)
    seconds = float(np.median(np.diff(model.rating_head.history["seconds"].to_numpy())))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"ratings": len(data), "seconds": seconds, "peak_gb": peak}


def growth(rounds):
    """Seconds of an iteration from a tenth of the data to ten times as much."""
    sizes = [child("grown", times) for times in GROWTH]
    per_rating = [size["seconds"] / size["ratings"] for size in sizes]
    return {
        "sizes": sizes,
        "times linear": [b / a for a, b in pairwise(per_rating)],
    }


PARTS = {
    "iterations": iterations,
    "quality": quality,
    "ingest": lambda rounds: speed_ingest.measure(folder(), rounds),
    "command": command,
    "top-n": top_n,
    "growth": growth,
}


def note(text):
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="Write the results to this file, too.")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(globals()[options.child[0]](*json.loads(options.child[1]))))
        return
    metrics = {}
    for name, part in PARTS.items():
        if options.only in (None, name):
            note(f"-- {name}")
            metrics[name] = part(options.rounds)
            print(json.dumps({name: metrics[name]}, indent=2), flush=True)
    if options.json:
        environment = {"processors": os.cpu_count(), "python": sys.version.split()[0]}
        options.json.write_text(json.dumps({"metrics": metrics, **environment}, indent=2) + "\n")


if __name__ == "__main__":
    main()
