# Two commands matter: `make demo` and `make test`. Python 3.11+, a stable Rust toolchain, a C compiler and make are presumed.

PYTHON ?= python3
UV_VERSION := 0.13.8
BIN := .venv/bin
STAMPS := .build
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
export UV_PYTHON_DOWNLOADS := never

RUST_SOURCES := $(shell find rust -name '*.rs' -o -name 'Cargo.toml') Cargo.toml Cargo.lock

.PHONY: help demo test lint lint-python lint-rust lint-core test-rust test-python bench rows soak clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: $(STAMPS)/core ## live books of four simulated venues; SECONDS=20 JSON=1 ends by itself and prints one JSON object
	$(BIN)/datafacade demo $(if $(SECONDS),--seconds $(SECONDS)) $(if $(JSON),--json)

# The linters of Python need no core and one processor: they run beside its build, whose last step is one crate.
test: ## the whole gate: linters, Rust tests, Python tests, rows
	$(MAKE) --no-print-directory --jobs 2 $(STAMPS)/core lint
	$(MAKE) --no-print-directory test-rust test-python rows

lint: lint-python lint-rust lint-core ## ruff, mypy --strict, buf, rustfmt, clippy, stubtest: warnings are errors

lint-python: $(STAMPS)/venv $(STAMPS)/buf
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict python tests benches
	if [ -x .tools/node_modules/.bin/buf ]; then cd proto && ../.tools/node_modules/.bin/buf lint; else echo "buf lint: skipped, npm is not here"; fi

lint-rust: $(STAMPS)/venv
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings

lint-core: $(STAMPS)/core
	$(BIN)/python -m mypy.stubtest datafacade._core --ignore-disjoint-bases

test-rust: $(STAMPS)/venv
	cargo test --workspace --quiet

# Fault rows on the running service assert times: two beds side by side, and nothing else; one bed where percentiles
# are compared. All others run before them.
test-python: $(STAMPS)/core
	$(BIN)/pytest --numprocesses 3 --dist loadfile --ignore-glob 'tests/chaos/test_t1_*'
	$(BIN)/pytest --numprocesses 2 --dist loadfile -m "not alone" tests/chaos/test_t1_*
	$(BIN)/pytest -m alone tests/chaos/test_t1_*

rows: $(STAMPS)/venv ## which rows of the requirements and of the fault matrix have a test
	$(BIN)/python -m tests.rows

bench: $(STAMPS)/core ## SUITE=core, edge, klines, service, cache, warm or pit; JSON=1 prints one JSON line
	$(BIN)/python -m benches.python.run --suite $(or $(SUITE),core) $(if $(JSON),--json)

soak: $(STAMPS)/core ## the fault rows with full figures: 20 injections each, real timers
	DATAFACADE_TIER=2 $(BIN)/pytest tests/chaos tests/integration/cli/test_chaos.py

clean: ## forget everything that was built
	rm -rf .venv .tools $(STAMPS) target python/datafacade/_core*.so

$(STAMPS)/venv: requirements.lock
	@mkdir -p $(STAMPS)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@touch $@

$(STAMPS)/core: $(STAMPS)/venv $(RUST_SOURCES) pyproject.toml
	$(BIN)/maturin develop --release --quiet --uv
	@touch $@

# buf is a development tool of the contract; it comes from npm, where npm is.
$(STAMPS)/buf:
	@mkdir -p $(STAMPS)
	if command -v npm >/dev/null; then npm install --silent --no-fund --no-audit --prefix .tools @bufbuild/buf@1.75.0; fi
	@touch $@
