# Each target sets itself up in .venv; needed are only python3 (3.11 or newer) and make.
PIP = .venv/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: demo test lint format accuracy bench ranking neural looks gallery notebooks clean

demo: .venv/core
	.venv/bin/matinee demo

test: .venv/all
	.venv/bin/python -m pytest

lint: .venv/all
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: .venv/all
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

accuracy: .venv/core
	.venv/bin/python bench/accuracy.py

bench: .venv/core
	.venv/bin/python bench/speed.py

ranking: .venv/core
	.venv/bin/python bench/ranking.py

neural: .venv/all
	.venv/bin/python bench/neural.py

looks: .venv/all
	.venv/bin/python bench/looks.py

gallery: .venv/all
	.venv/bin/python docs/gallery.py

notebooks: .venv/all
	.venv/bin/python notebooks/execute.py

.venv/bin/python:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "matinee needs Python 3.11 or newer; python3 is older."; exit 1; }
	python3 -m venv .venv

.venv/core: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	@touch $@

.venv/all: .venv/core
	$(PIP) -e '.[torch,charts,tuning,test,lint]'
	@touch $@

clean:
	rm -rf .venv
