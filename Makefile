# The commands of the project; `make` alone lists them. Two matter most: `make serve` runs tokensrv
# from a clone, `make test` says whether a change is ready.

PYTHON ?= python3
PROFILE ?= default
PORT ?= 8000
JOBS ?= 2
ARGS ?=

# Another interpreter gets a folder of its own: PYTHON=python3.13 uses .venv-python3.13.
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
SERVE_READY := $(VENV)/.ready-serve
TEST_READY := $(VENV)/.ready-test
NODE := tests/live/node
NODE_READY := $(NODE)/node_modules/.package-lock.json
PIP_ADVICE := pip could not install. Is the package index reachable? Then run make again.
NPM_ADVICE := npm could not install. Is its registry reachable? Then run make again.

# What the benchmark needs; one of the tests runs a small part of it.
BENCH_PACKAGES := wrk:wrk taskset:util-linux
# The commands and files that the tests need, each with the Debian package that has it.
SYSTEM_PACKAGES := curl:curl openssl:openssl git:git /usr/sbin/nginx:nginx \
	/usr/lib/nginx/modules/ngx_http_js_module.so:libnginx-mod-http-js chromium:chromium \
	caddy:caddy /usr/sbin/haproxy:haproxy /usr/sbin/apache2:apache2 traffic_server:trafficserver \
	/usr/sbin/varnishd:varnish /usr/share/doc/varnish-modules/copyright:varnish-modules \
	/usr/share/lua/5.3/socket/http.lua:lua-socket /usr/sbin/fcgiwrap:fcgiwrap \
	docker-registry:docker-registry skopeo:skopeo ssh:openssh-client /usr/sbin/sshd:openssh-server pamtester:pamtester sshpass:sshpass \
	useradd:passwd nsenter:util-linux \
	$(BENCH_PACKAGES)

ifeq ($(filter $(PROFILE),default ci full),)
$(error PROFILE is "default", "ci" or "full", not "$(PROFILE)")
endif
# tests/conftest.py reads it: how many examples, and whether a skipped test is a failure.
export TEST_PROFILE := $(PROFILE)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help serve install test check lint format types floors suite system-packages bench screenshots coverage clean

help: ## List these commands.
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(SERVE_READY) ## Install if need be, set up instance/ if empty, serve. PORT=9000 for another port than 8000; ARGS goes to serve.
	@$(BIN)/tokensrv init --if-empty --url http://127.0.0.1:$(PORT) && \
		exec $(BIN)/tokensrv serve --port $(PORT) $(ARGS)

install: $(TEST_READY) $(NODE_READY) ## Install tokensrv with everything that tests and linters need.

test: check suite ## Everything: linters, types, floors, the suite on both databases, coverage. PROFILE=ci|full, PYTHON=python3.13.

check: lint types floors ## All that needs no test: lint, types, floors.

lint: $(TEST_READY) ## Format, lint rules, spelling.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell

format: $(TEST_READY) ## Format the code and mend what ruff can mend.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(TEST_READY) ## mypy --strict.
	$(BIN)/mypy

floors: $(TEST_READY) ## Imports go down only.
	$(BIN)/lint-imports --config setup.cfg

suite: suite-sqlite suite-postgres coverage ## The tests on SQLite and on PostgreSQL.

# The least coverage holds for both runs together, hence none for one. A file stays in one process,
# so that its tests share the servers that it starts.
suite-%: $(TEST_READY) $(NODE_READY) system-packages ## One of the two: suite-sqlite, suite-postgres. ARGS="-k name" goes to pytest.
	COVERAGE_FILE=.coverage.$* $(BIN)/pytest --db $* -n $(JOBS) --dist loadfile \
		--cov --cov-report= --cov-fail-under=0 $(ARGS)

bench: $(TEST_READY) ## Measure tokensrv beside others, some 20 minutes. QUICK=1 takes two; SIZES=10_000,10_000_000; ARGS="--folder /srv/bench".
	@.ci/system-packages $(BENCH_PACKAGES)
	@$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(SIZES),--sizes $(SIZES)) $(ARGS)

screenshots: $(TEST_READY) $(NODE_READY) system-packages ## Take the pictures in docs/images anew.
	TEST_SCREENSHOTS=docs/images $(BIN)/pytest tests/browser/test_screenshots.py

coverage: ## What both runs together covered; fails below the limit in setup.cfg.
	$(BIN)/coverage combine --keep .coverage.sqlite .coverage.postgres
	$(BIN)/coverage report

system-packages:
	@.ci/system-packages $(SYSTEM_PACKAGES)

clean: ## Remove virtual environments, caches and build results, never instance/.
	rm -rf .venv .venv-* $(NODE)/node_modules build dist *.egg-info htmlcov .coverage .coverage.* .grimp_cache \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find tokensrv tests benchmarks -type d -name __pycache__ -exec rm -rf {} +

# Debian's venv without python3-venv fails half way, so what it left behind goes too.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "tokensrv: $(PYTHON) is missing or older than 3.11; name another: make PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "tokensrv: $(PYTHON) -m venv failed; on Debian: apt install python3-venv" >&2; exit 1; }

$(SERVE_READY): setup.cfg pyproject.toml | $(BIN)/python
	@.ci/retry "$(PIP_ADVICE)" $(BIN)/python -m pip install --quiet --editable '.[postgres]'
	@touch $@

$(TEST_READY): setup.cfg pyproject.toml | $(BIN)/python
	@.ci/retry "$(PIP_ADVICE)" $(BIN)/python -m pip install --quiet --editable '.[postgres,test,dev]'
	@touch $@

# No package of these runs a script of its own at installation.
$(NODE_READY): $(NODE)/package-lock.json | $(TEST_READY)
	@.ci/retry "$(NPM_ADVICE)" $(BIN)/npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
