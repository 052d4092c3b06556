# Each target sets itself up in .venv; needed are only python3 (3.11 or newer) and make.
PYTHON = .venv/bin/python
PIP = $(PYTHON) -m pip --disable-pip-version-check install --quiet -c constraints.txt
# two workers even where there are more cores: each trains models on threads of its own
PYTEST = $(PYTHON) -m pytest -n 2 --dist worksteal

.PHONY: demo serve test thorough processors lower-bounds dist fuzz check lint format accuracy bench ranking neural looks docs gallery notebooks clean

demo: .venv/core
	.venv/bin/matinee demo

serve: .venv/service runs/demo
	.venv/bin/matinee serve demo

runs/demo: | .venv/core
	.venv/bin/matinee demo

test: .venv/all
	$(PYTEST) -m "not thorough"

thorough: .venv/all
	$(PYTEST) -m thorough

# kernels as older processors get them: without AVX and 16-bit floats, and with nothing at all
processors: .venv/all
	NUMBA_CPU_FEATURES= NUMBA_CPU_NAME=x86-64-v2 $(PYTEST) tests/kernels
	NUMBA_CPU_FEATURES= NUMBA_CPU_NAME=generic $(PYTEST) tests/kernels

# the oldest releases that pyproject.toml admits, in an environment of their own
lower-bounds: .venv/bin/python
	$(PYTHON) tests/lower_bounds.py

# what is released: the same bytes whoever builds it from this commit, with the pinned tools
dist: .venv/package
	rm -rf dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(PYTHON) -m build --no-isolation
	$(PYTHON) -m twine check --strict dist/*

# hostile inputs, other ones each time: make fuzz MINUTES=30
MINUTES = 10
fuzz: .venv/all
	$(PYTHON) tests/fuzz/run.py $(MINUTES)

check: lint
	$(PYTEST) -m "not slow and not thorough"

lint: .venv/all
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/codespell
	.venv/bin/mypy

format: .venv/all
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

accuracy: .venv/core
	$(PYTHON) bench/accuracy.py

bench: .venv/core
	$(PYTHON) bench/speed.py

ranking: .venv/core
	$(PYTHON) bench/ranking.py

neural: .venv/all
	$(PYTHON) bench/neural.py

looks: .venv/all
	$(PYTHON) bench/looks.py

docs: .venv/all
	$(PYTHON) docs/site.py build

gallery: .venv/all
	$(PYTHON) docs/gallery.py

notebooks: .venv/all
	$(PYTHON) notebooks/execute.py

.venv/bin/python:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "matinee needs Python 3.11 or newer; python3 is older."; exit 1; }
	python3 -m venv .venv

# the pip that comes with Python 3.11 to 3.13 does not know dependency groups
.venv/core: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) pip
	$(PIP) -e .
	@touch $@

.venv/service: .venv/core
	$(PIP) -e '.[service]'
	@touch $@

.venv/package: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) pip
	$(PIP) --group package
	@touch $@

.venv/all: .venv/core
	$(PIP) -e '.[all]' --group dev
	@touch $@

clean:
	rm -rf .venv
