"""Processes that write to a store until they are killed, and what each knows to be written.

As a program: `writers.py WHERE FOLDER N` imports once, forks N writers, and prints their numbers.
A writer says in its log what it begins, and what is done once the store has answered.
"""

import json
import os
import random
import subprocess
import sys
import traceback
from pathlib import Path

from matinee.errors import StoreError
from matinee.service.store import NewFeedback, Store, UserKey

TENANT = "crash"
ITEMS = 6  # of each writer: most writes replace something
USERS = 3  # whom the writers share


def user_of(writer):
    return UserKey(TENANT, f"user {writer % USERS}")


def items_of(writer):
    return [f"{writer}-{number}" for number in range(ITEMS)]


class Log:
    """The lines of one writer: `begin` what it asks for, `done` what it was answered."""

    def __init__(self, folder, writer):
        self.path = Path(folder) / f"{writer}.log"
        self.path.touch()

    def write(self, *line):
        with self.path.open("ab", buffering=0) as file:
            file.write(json.dumps(line).encode() + b"\n")

    def read(self):
        return [json.loads(line) for line in self.path.read_bytes().splitlines()]


def draw(writer, number, chance):
    """A request of a writer; ratings are numbered, so that no two writes look the same."""
    items = items_of(writer)
    action = chance.choice(["put", "put", "put", "seen", "delete", "put_many"])
    item = chance.choice(items)
    key = chance.choice([None, f"{writer}/{number}"]) if action != "put_many" else None
    if action == "put_many":
        item = chance.sample(items, 4)
    return [action, item, float(number), key]


def ask(store, writer, request):
    """Send a request; what it changes, as (item, rating, kind, microseconds or None) each."""
    action, item, rating, key = request
    user = user_of(writer)
    if action == "delete":
        store.delete(user, item, key=key)
        return [[item, None, None, None]]
    if action == "put_many":
        store.put_many(user, [NewFeedback(name, rating, "rating") for name in item])
        return [[name, rating, "rating", None] for name in item]
    kind, rating = ("seen", None) if action == "seen" else ("rating", rating)
    kept = store.put(user, item, rating=rating, kind=kind, key=key)
    return [[item, rating, kind, kept.updated_at.isoformat()]]


def work(where, folder, writer):
    """Write for ever."""
    store, log = Store.open(where), Log(folder, writer)
    chance = random.Random()  # noqa: S311
    number = len(log.read())
    while True:
        number += 1
        request = draw(writer, number, chance)
        log.write("begin", request)
        log.write("done", answered(store, writer, request))


def answered(store, writer, request):
    """What `ask` says, asked once more where the server has crashed meanwhile."""
    while True:
        try:
            return ask(store, writer, request)
        except StoreError as problem:
            if request[-1] is not None or "not known whether this was kept" not in str(problem):
                raise


def start(where, folder, n_writers):
    """Start writers; the process that has forked them, and their numbers."""
    command = [sys.executable, __file__, str(where), str(folder), str(n_writers)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE)
    return parent, [int(parent.stdout.readline()) for _ in range(n_writers)]


if __name__ == "__main__":
    where, folder, n_writers = sys.argv[1], sys.argv[2], int(sys.argv[3])
    children = []
    for writer in range(n_writers):
        if (child := os.fork()) == 0:
            try:
                work(where, folder, writer)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        children.append(child)
        print(child, flush=True)
    for child in children:
        os.waitpid(child, 0)
