# SPDX-License-Identifier: MIT
# The front door. CMake does the work; everything is built under $(BUILD).
#
#   JOBS=n        build and test on n processors (default: all)
#   ARGS=...      arguments of `make tour` or `make bench` (--quick)
#   TESTS=regex   run only the tests whose name matches
#   STRESS=s      seconds for each stress program of `make stress`: 30, or 600
#   CMAKE_ARGS=.. more arguments for the configuration, such as
#                 -DCMAKE_INSTALL_PREFIX=/usr or -DWEFT_WITH_URING=OFF

BUILD ?= build
JOBS ?= $(shell nproc)
ARGS ?=
TESTS ?=
STRESS ?= 30
CMAKE_ARGS ?=

# make passes its own flags on in MAKEFLAGS; CMake starts a make of its own.
CMAKE = env -u MAKELEVEL MAKEFLAGS=--no-print-directory cmake
COMPILE = $(CMAKE) --build $(BUILD) -j $(JOBS)
SOURCES = $(shell git ls-files -co --exclude-standard '*.c' '*.h')
SCRIPTS = $(shell git grep --untracked -lE '^\#!/bin/(ba)?sh' -- scripts tests .ci)

.DEFAULT_GOAL := build
.PHONY: build tour test bench install stress fuzz format format-check lint \
    clean help setup setup-quiet configure all check-exports check-doors \
    check-floors check-style check-headers check-install check-cross check-sanitizers \
    check-valgrind update-exports

## build: the libraries, the weft command and the man pages
build: configure
	@$(COMPILE) --target product

## tour: install what is missing, build, run `weft tour $(ARGS)`
tour: setup build
	@$(BUILD)/weft tour $(ARGS)

## test: install what is missing, build, run all tests
test: setup all
	@scripts/run-tests $(BUILD) $(JOBS) '$(TESTS)'

## bench: run every benchmark beside its peers: `weft bench $(ARGS)`
bench: setup build
	@scripts/setup bench || echo "bench: goes on without them"
	@scripts/build-bench $(BUILD)
	@$(BUILD)/weft bench $(ARGS)

## install: into CMAKE_INSTALL_PREFIX (DESTDIR is obeyed)
install: build
	@$(CMAKE) --install $(BUILD)

## stress: the tests that take minutes, over and over with new seeds
stress: setup all
	@WEFT_STRESS=$(STRESS) scripts/run-tests $(BUILD) 1 '$(TESTS)' -L stress --no-tests=ignore

## fuzz: the fuzzers, one minute each
fuzz: setup-test
	@scripts/run-fuzz $(JOBS)

## check-exports: src/weft.map lists just what include/ declares
check-exports:
	@scripts/check-exports
## update-exports: write that list anew
update-exports:
	@scripts/check-exports --update
## check-doors: only src/os and src/loop call the system
check-doors: all
	@scripts/check-doors $(BUILD)
## check-floors: the folders of the library include only those below them
check-floors:
	@scripts/check-floors
## check-style: lengths of functions, files and lines
check-style:
	@scripts/check-style
## check-headers: each public header compiles alone, in C11 and in C++17
check-headers:
	@scripts/check-headers
## check-install: programs build against an installed copy
check-install: all
	@scripts/run-tests $(BUILD) 1 '^install$$'
## check-cross: the conformance program on aarch64 and on musl
check-cross: setup-test all
	@scripts/run-tests $(BUILD) 1 '' -L cross
## check-sanitizers: all tests under ASan + UBSan and under TSan
check-sanitizers: setup-test
	@scripts/ci-sanitizers
## check-valgrind: the conformance program under Valgrind
check-valgrind: setup-test all
	@scripts/run-valgrind $(BUILD)

## format: lay out the sources with clang-format 14
format:
	@clang-format -i $(SOURCES)
## format-check: fail if `make format` would change something
format-check:
	@clang-format --dry-run -Werror $(SOURCES)
## lint: clang-tidy on the C sources, shellcheck on the scripts
lint: configure
	@clang-tidy --quiet -p $(BUILD) $(filter src/%.c cli/%.c,$(SOURCES))
	@shellcheck -x $(SCRIPTS)

## clean: remove everything that was built
clean:
	@rm -rf build build-*

## help: this list
help:
	@sed -n 's/^## /  make /p' $(firstword $(MAKEFILE_LIST))

setup:
	@scripts/setup
setup-quiet:
	@scripts/setup --check
setup-%:
	@scripts/setup $*

# Configured once; after that CMake itself sees what has changed. Arguments
# given by hand, and packages that came later, make it run again.
configure: setup-quiet
	@if [ ! -e $(BUILD)/.configured ] || [ -n '$(strip $(CMAKE_ARGS))' ]; \
	then scripts/configure $(BUILD) $(CMAKE_ARGS); fi

all: configure
	@$(COMPILE)
