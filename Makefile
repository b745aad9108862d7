# What users, contributors and CI run; `make` alone lists it.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet
LOCKED := $(PIP_INSTALL) --require-hashes --no-deps --only-binary :all:

# cpu or cuda. An environment keeps the build that it was made with until told otherwise.
TORCH ?= $(shell cat $(VENV)/torch 2>/dev/null || echo cpu)
# Options passed on, as in `make serve ARGS="--port 9000"` or `make test ARGS="-k glb -x"`.
ARGS ?=
# Python code that the type checker reads; the linter reads everything.
TYPED := service models geometry kernels training benchmarks tests clients/python/src
RIVALS := $(VENV)/bench
OLD_TRITON := $(VENV)/triton-3.6
NODE_MODULES := $(patsubst %,%/node_modules/.stamp,tests/gltf web clients/javascript)
# Node trusts a list of its own; a company's certificates stand in the system's.
SYSTEM_CERTIFICATES := $(wildcard /etc/ssl/certs/ca-certificates.crt)

ifneq ($(TORCH),cuda)
ifneq ($(TORCH),cpu)
$(error TORCH is cpu or cuda, not "$(TORCH)")
endif
endif

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: setup
setup: $(VENV)/dev.stamp ## make .venv with all that development needs; TORCH=cuda for a GPU

.PHONY: serve
serve: $(VENV)/runtime.stamp ## run the service on 127.0.0.1:8000; ARGS go to `bozzetto serve`
	@exec $(BIN)/bozzetto serve $(ARGS)

.PHONY: check
check: setup lint-scripts check-web ## lint, formatting, types, import contracts, scripts, container files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(TYPED)
	$(BIN)/lint-imports --no-cache

.PHONY: lint-scripts
lint-scripts: $(VENV)/tools.stamp
	$(VENV)/tools/bin/shellcheck scripts/*.sh .ci/run
	$(VENV)/tools/bin/hadolint Dockerfile
	$(VENV)/tools/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	@# The checker's YAML reader knows no !reset.
	sed 's/!reset //' docker-compose.cpu.yml \
		| $(VENV)/tools/bin/check-jsonschema --builtin-schema vendor.compose-spec --default-filetype yaml -

.PHONY: check-web
check-web: $(NODE_MODULES)
	@# Without Node there is nothing to check with; CI has it.
	@if command -v npm >/dev/null; then npm run --silent --prefix web check \
		&& npm run --silent --prefix clients/javascript check; fi

.PHONY: web
web: $(NODE_MODULES) ## build web/ into the gateway's static files; needs Node 20.19 or newer
	npm run --silent --prefix clients/javascript generate
	npm run --silent --prefix web build

.PHONY: test
test: setup $(NODE_MODULES) ## every test that takes seconds and needs no GPU
	$(BIN)/python -m pytest -m "not slow and not gpu" --ignore tests/kernels $(ARGS)
	@# Triton's interpreter is switched on for a whole process.
	$(BIN)/python -m pytest -m "not slow and not gpu" tests/kernels $(ARGS)

.PHONY: test-slow
test-slow: setup $(NODE_MODULES) $(OLD_TRITON)/.stamp ## the tests that take minutes
	$(BIN)/python -m pytest -m "slow and not gpu" $(ARGS)
	@echo "The operators once more, with the oldest Triton that is promised to work"
	PYTHONPATH=$(OLD_TRITON) $(BIN)/python -m pytest -m "not slow and not gpu" tests/kernels $(ARGS)

.PHONY: test-gpu
test-gpu: setup ## operators, PVCNN2 and PC² on a CUDA device
	$(BIN)/python -m pytest tests/kernels $(ARGS)
	$(BIN)/python -m pytest tests/parity -m gpu $(ARGS)

.PHONY: bench
bench: setup $(RIVALS)/.stamp ## measure, and write benchmarks/results; ARGS names suites
	PYTHONPATH=$(RIVALS) $(BIN)/python -m benchmarks $(ARGS)

.PHONY: image-check
image-check: setup ## build both container images and run a job through them; needs root
	scripts/image_check.sh

.PHONY: docs
docs: $(VENV)/runtime.stamp ## write the generated pages anew
	$(BIN)/python -m service.settings_docs > docs/settings.md
	$(BIN)/python -m service.gateway.openapi

.PHONY: lock
lock: $(VENV)/uv.stamp ## write requirements/lock*.txt anew; ARGS=--upgrade for newer releases
	scripts/lock.sh $(BIN)/uv $(ARGS)

.PHONY: clean
clean: ## remove the environment, caches and build outputs, never data/
	rm -rf $(VENV) $(dir $(NODE_MODULES)) build dist *.egg-info clients/python/build clients/python/src/*.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment. Each stamp is newer than all that the step before it installed.
$(VENV)/python.stamp:
	@python=$$(PYTHON="$(PYTHON)" scripts/find_python.sh) && echo "Making $(VENV) with $$python" \
		&& "$$python" -m venv $(VENV)
	@touch $@

$(VENV)/torch-$(TORCH).stamp: $(VENV)/python.stamp requirements/torch.txt scripts/install_torch.sh
	@echo "Installing PyTorch ($(TORCH))"
	@scripts/install_torch.sh $(BIN)/python $(TORCH)
	@rm -f $(VENV)/torch-*.stamp
	@echo $(TORCH) > $(VENV)/torch
	@touch $@

$(VENV)/runtime.stamp: $(VENV)/torch-$(TORCH).stamp requirements/lock.txt pyproject.toml
	@echo "Installing the locked packages"
	@$(LOCKED) -r requirements/lock.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp requirements/lock-dev.txt
	@echo "Installing the development packages"
	@$(LOCKED) -r requirements/lock-dev.txt
	@touch $@

$(VENV)/uv.stamp: $(VENV)/python.stamp requirements/lock-uv.txt
	@$(LOCKED) -r requirements/lock-uv.txt
	@touch $@

$(VENV)/tools.stamp: $(VENV)/python.stamp requirements/lock-tools.txt
	@echo "Installing the linters of scripts and container files"
	@$(BIN)/python -m venv $(VENV)/tools
	@$(VENV)/tools/bin/python -m pip --disable-pip-version-check install --quiet \
		--require-hashes --no-deps --only-binary :all: -r requirements/lock-tools.txt
	@touch $@

# Libraries that only benchmarks compare with, out of everyone else's sight.
$(RIVALS)/.stamp: $(VENV)/dev.stamp requirements/lock-bench.txt
	@echo "Installing libraries to compare with"
	@rm -rf $(RIVALS)
	@$(LOCKED) --target $(RIVALS) -r requirements/lock-bench.txt
	@touch $@

# Triton 3.6 and a NumPy that its interpreter can read, to be put before the installed ones.
$(OLD_TRITON)/.stamp: $(VENV)/dev.stamp requirements/lock-triton-3.6.txt
	@echo "Installing Triton 3.6"
	@rm -rf $(OLD_TRITON)
	@$(LOCKED) --target $(OLD_TRITON) -r requirements/lock-triton-3.6.txt
	@touch $@

# The glTF validator, the web page's tools, the client's. Without Node their tests are skipped and
# say so; CI has it.
$(NODE_MODULES): %/node_modules/.stamp: %/package-lock.json
	@if command -v npm >/dev/null; then \
		echo "Installing the packages of $*" \
			&& NODE_EXTRA_CA_CERTS="$${NODE_EXTRA_CA_CERTS:-$(SYSTEM_CERTIFICATES)}" \
			npm ci --prefix $* --no-audit --no-fund --loglevel=error && touch $@; \
	else \
		echo "npm is missing: tests that need the packages of $* will be skipped"; \
	fi
