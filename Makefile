# The words: demo, test, torture, mutate, check, bench. Everything they need goes into .venv; nothing else is touched.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
WHEEL_PIP := build/wheel/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
DEMO := build/demo
OTHER_PYTHONS := 3.12 3.13
FRAMEWORK_FREE := $(addprefix tests/unit/, \
  base/test_errors.py base/test_files.py base/test_progress.py base/test_spec.py \
  base/test_stopwatch.py base/test_tables.py base/test_text.py items learning/gram learning/metrics \
  networks/test_layer_table.py features/store/test_store.py features/store/test_golden.py)

.PHONY: demo test wheel pythons torture mutate check bench
.DELETE_ON_ERROR:

# The main job on real images: scikit-learn's handwritten digits, or your own photos or texts.
demo: .venv/.demo
ifdef DATA
	$(PIP) --editable '.[demo,text]'
	$(BIN)/cutpoint fit "$(DATA)" -o $(DEMO)/yours.cutpoint --store $(DEMO)/features
else
	$(BIN)/python examples/write_digits.py $(DEMO)/digits
	$(BIN)/cutpoint fit $(DEMO)/digits -o $(DEMO)/digits.cutpoint --store $(DEMO)/features
endif

test: .venv/.dev tests/tfjs/node_modules/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 # two workers, two cores: more threads wait in loops
	$(MAKE) --no-print-directory wheel

# The wheel alone in an environment of its own, as a stranger has it.
wheel: .venv/.dev build/wheel/.python
	rm -rf build/dist build/stranger
	$(BIN)/python -m hatchling build --target wheel --directory build/dist > /dev/null
	$(WHEEL_PIP) "$$(echo build/dist/*.whl)[demo]"
	$(WHEEL_PIP) --force-reinstall --no-deps build/dist/*.whl
	build/wheel/bin/python -m pip check
	cd build && wheel/bin/python -I ../tests/wheel/stranger.py stranger

build/wheel/.python: constraints.txt
	$(PYTHON) -m venv --clear build/wheel
	$(WHEEL_PIP) --upgrade pip
	touch $@

# Unit tests that need no framework, on the other Pythons that are here.
pythons:
	@for version in $(OTHER_PYTHONS); do \
	  python=$$(python$$version -c 'import sys; print(sys.executable)' 2> /dev/null || \
	    ls -d $$HOME/.pyenv/versions/$$version.*/bin/python 2> /dev/null | tail -n 1); \
	  if [ -z "$$python" ]; then echo "Python $$version: not here, not tested"; continue; fi; \
	  echo "Python $$version: $$python"; \
	  sh tests/other_python.sh "$$python" "build/python$$version" $(FRAMEWORK_FREE) || exit 1; \
	done

# Kills, damaged bytes, failing calls and power cuts by the hundreds; `make test` has a few of each.
torture: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.torture $(if $(SEED),--seed $(SEED))

# Small changes to the sources that the tests of the same path should notice; not in CI.
mutate: .venv/.dev
	$(BIN)/python -m tests.mutation $(if $(SEED),--seed $(SEED)) $(if $(N),--processes $(N))

check: .venv/.dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

bench: .venv/.dev
	$(BIN)/python benchmarks/rows.py
	$(BIN)/python benchmarks/footprint.py
	$(BIN)/python benchmarks/peers.py
	$(BIN)/python benchmarks/truncation.py
	$(BIN)/python benchmarks/decoding.py
	$(BIN)/python benchmarks/backbones.py
	$(BIN)/python benchmarks/recipes.py
	$(BIN)/python benchmarks/guide_pictures.py
	$(BIN)/python benchmarks/pca.py
	$(BIN)/python benchmarks/heads.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/resampling.py
	$(BIN)/python benchmarks/score_defects.py
	$(BIN)/python benchmarks/choose_speed.py
	$(BIN)/python benchmarks/choosing.py
	$(BIN)/python benchmarks/cifar.py
	$(BIN)/python benchmarks/ridge_path.py
	$(BIN)/python benchmarks/precision.py
	$(BIN)/python benchmarks/finetune.py
	$(BIN)/python benchmarks/text_choices.py
	$(BIN)/python benchmarks/text_speed.py
	$(BIN)/python benchmarks/targets.py

.venv/.python:
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip
	touch $@

.venv/.demo: .venv/.python pyproject.toml constraints.txt
	$(PIP) --editable '.[demo]'
	touch $@

.venv/.dev: .venv/.demo
	$(PIP) --editable '.[all]' --group dev
	$(PIP) --no-deps keras-hub kagglehub kagglesdk # its tensorflow-text would bring a second TensorFlow
	touch $@

# The real TF.js, for tests to compare with; without npm they skip, and say so.
tests/tfjs/node_modules/.installed: tests/tfjs/package-lock.json
	if command -v npm > /dev/null; then \
	  cd tests/tfjs && npm ci --silent --ignore-scripts --no-audit --no-fund && \
	  touch node_modules/.installed; fi
