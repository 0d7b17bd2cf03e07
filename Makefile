# Tunesmith. `make help` lists the targets. Everything is built below build/.

CC      ?= cc
CFLAGS  ?= -O2 -g
B       := build
# make V=1 shows the commands.
Q        = $(if $(V),,@echo '  $@' && )

CPPFLAGS_TS := -I. -I$(B)/generated -D_GNU_SOURCE -DPCRE2_CODE_UNIT_WIDTH=8
CFLAGS_TS   := -std=c17 -fPIC -fvisibility=hidden -Wall -Wextra -Wno-missing-field-initializers -Wshadow -Wconversion -Werror -pthread $(CFLAGS)
# Static archives of Debian's packages: the programs and the library need only glibc at run time.
LIBS_RUNTIME := -l:libsqlite3.a -l:libjansson.a -l:libpcre2-8.a -l:libutf8proc.a -l:libsodium.a -l:libzstd.a -l:libpng16.a -l:libz.a \
                -l:libjpeg.a -l:libwebpdemux.a -l:libwebp.a -l:libexif.a -lm -ldl -lpthread
LIBS_GEN     := -l:liblua5.4.a
LIBS_TEST    := -lcmocka

FAMILIES := $(notdir $(patsubst %/family.lua,%,$(wildcard templates/*/family.lua)))

# One list a part; a new .c file in a folder is found by itself.
SRC_BASE    := db/base.c
SRC_READ    := db/read.c db/row.c db/blob.c db/file.c db/signature.c db/schema.c
SRC_WRITE   := $(addprefix db/,write.c ship.c migrate.c resume.c results.c winners.c winners_read.c merge.c merge_row.c evidence.c)
# Video files are read where libav's headers are; the libraries themselves are opened at run time, never linked.
LIBAV       := $(shell pkg-config --exists libavformat libavcodec libswscale libavutil 2>/dev/null && echo yes)
NOT_BUILT   := $(if $(LIBAV),runtime/vision/frames_no_file.c,runtime/vision/frames_file.c $(wildcard runtime/vision/libav*.c))
SRC_RUNTIME := $(filter-out $(NOT_BUILT),$(wildcard runtime/*.c runtime/model/*.c runtime/text/*.c runtime/image/*.c runtime/vision/*.c))
SRC_INFER   := $(wildcard runtime/infer/*.c)
SRC_GEN     := $(wildcard gen/*.c)
SRC_GENTOOL := gen/tool/gentool.c
SRC_TUNER   := $(filter-out tuner/main.c,$(wildcard tuner/*.c tuner/*/*.c))
SRC_ORACLE  := $(wildcard templates/*/ref.c)

objs = $(patsubst %.c,$(B)/obj/%.o,$(1))
OBJ_BASE    := $(call objs,$(SRC_BASE))
OBJ_LIB     := $(call objs,$(SRC_BASE) $(SRC_READ) $(SRC_RUNTIME)) $(B)/obj/generated/abi.o
OBJ_GEN     := $(call objs,$(SRC_GEN))
OBJ_TUNER   := $(call objs,$(SRC_TUNER) $(SRC_WRITE) $(SRC_ORACLE)) $(B)/obj/generated/oracles.o
OBJ_ALL     := $(sort $(OBJ_LIB) $(OBJ_GEN) $(OBJ_TUNER))

# The version stands in the public header alone; the soname's number is the major one.
version_part = $(shell sed -n 's/^.define TS_VERSION_$(1) //p' runtime/tunesmith_kernels.h)
VERSION := $(call version_part,MAJOR).$(call version_part,MINOR).$(call version_part,PATCH)
SONAME  := libtunesmith.so.$(call version_part,MAJOR)

PROGRAMS := $(B)/tune $(B)/infer $(B)/libtunesmith.a $(B)/libtunesmith.so

.PHONY: all help setup packages nvrtc install uninstall dist demo test test-all test-gpu test-models bench docs check-deps check-real clean
all: $(PROGRAMS) $(B)/include/tunesmith.h $(B)/include/tunesmith_kernels.h

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make             programs and libraries in build/
## make setup       install what is missing: Debian packages, and NVRTC where no CUDA toolkit has it
PACKAGES := build-essential pkg-config liblua5.4-dev libsqlite3-dev libjansson-dev libpcre2-dev libutf8proc-dev \
            libsodium-dev libzstd-dev zlib1g-dev libpng-dev libjpeg62-turbo-dev libwebp-dev libexif-dev libcmocka-dev sqlite3 python3 python3-pip \
            libavformat-dev libavcodec-dev libswscale-dev libavutil-dev libjs-chart.js
# What only a test runs: the report's page is drawn with it.
TEST_PACKAGES := python3-matplotlib
setup: packages nvrtc

packages:
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	[ -n "$$missing" ] || exit 0; \
	if ! command -v apt-get >/dev/null; then echo "not a Debian system; please install the equivalents of:" $$missing >&2; exit 0; fi; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	if [ -n "$$sudo" ] && ! command -v sudo >/dev/null; then echo "please run as root: apt-get install -y" $$missing >&2; exit 1; fi; \
	echo "installing:" $$missing; \
	$$sudo apt-get update -q && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing

# 13.0 rather than the newest: its kernels load on every driver of the 13 series.
nvrtc: packages
	@tests/find-nvrtc >/dev/null 2>&1 || { \
	    echo "no NVRTC found (TUNESMITH_NVRTC, loader path, CUDA toolkit, Python packages): fetching its wheel"; \
	    mkdir -p $(B)/nvrtc && python3 -m pip download -q --no-deps -d $(B)/nvrtc 'nvidia-cuda-nvrtc==13.0.*' && \
	    python3 -m zipfile -e $(B)/nvrtc/*.whl $(B)/nvrtc && rm -f $(B)/nvrtc/*.whl; }

$(B)/gentool: $(call objs,$(SRC_GENTOOL)) $(OBJ_GEN) $(OBJ_BASE)
	$(Q)$(CC) $(CFLAGS_TS) $^ -o $@ $(LIBS_GEN) -l:libjansson.a -l:libsodium.a -lm

# Generated once from the family folders: the runtime's abi table, the tuner's oracle table, the oracles' headers.
$(B)/generated/.stamp: $(B)/gentool $(wildcard templates/*/family.lua templates/*/args.h templates/targets/*.lua templates/*/cases.lua templates/*/*.in templates/*/ref.c)
	@mkdir -p $(B)/generated
	$(Q)$(B)/gentool templates $(B)/generated
	@touch $@
$(B)/generated/abi.c $(B)/generated/oracles.c $(FAMILIES:%=$(B)/generated/%_ref.h): $(B)/generated/.stamp ;

$(B)/obj/generated/%.o: $(B)/generated/%.c $(B)/generated/.stamp
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_TS) $(CFLAGS_TS) -MMD -MP -c $< -o $@
$(call objs,$(SRC_ORACLE)): $(B)/generated/.stamp
# Oracles are the slow half of verification on a CPU: optimise them, never with -ffast-math.
$(call objs,$(SRC_ORACLE)): CFLAGS_TS += -O3
# So are the inner loops over pixels.
$(call objs,$(wildcard runtime/image/*.c)): CFLAGS_TS += -O3
$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_TS) $(CFLAGS_TS) -MMD -MP -c $< -o $@

# Files that are linked in as bytes (.incbin) are no includes, so the compiler's -MMD does not see them.
$(B)/obj/gen/scripts.o: $(wildcard gen/script/*.lua)
$(B)/obj/db/schema.o: db/schema.sql db/schema_1.sql
$(B)/obj/tuner/report/assets.o: tuner/report/page.css tuner/report/page.js

$(B)/libtunesmith.a: $(OBJ_LIB)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^
# Debian's archives of these refer to stdin or stderr in a way that no shared object may: their .so travel beside ours.
NOT_SHARED := jansson png16 jpeg
LINK_SHARED = $(CC) -shared $(CFLAGS_TS) $(OBJ_LIB) -o $@ -Wl,--exclude-libs,ALL -Wl,--no-undefined \
    -Wl,-soname,$(SONAME) -Wl,--version-script=runtime/tunesmith.map $(filter-out $(NOT_SHARED:%=-l:lib%.a),$(LIBS_RUNTIME)) $(NOT_SHARED:%=-l%)
$(B)/libtunesmith.so: $(OBJ_LIB) runtime/tunesmith.map
	$(Q)$(LINK_SHARED) -Wl,-rpath,'$$ORIGIN'
	@for l in $(NOT_SHARED); do file=$$(readelf -d $@ | grep -o "lib$$l\.so\.[0-9]*"); \
	    cp -Lf $$($(CC) -print-file-name=$$file) $(@D)/ || exit 1; done; ln -sf libtunesmith.so $(@D)/$(SONAME)
$(B)/infer: $(call objs,$(SRC_INFER)) $(B)/libtunesmith.a
	$(Q)$(CC) $(CFLAGS_TS) $^ -o $@ $(LIBS_RUNTIME)
$(B)/tune: $(B)/obj/tuner/main.o $(OBJ_TUNER) $(OBJ_GEN) $(B)/libtunesmith.a
	$(Q)$(CC) $(CFLAGS_TS) $^ -o $@ $(LIBS_GEN) $(LIBS_RUNTIME)

# The two public headers, self-contained: the status block is pasted in, so that it exists once in the sources.
$(B)/include/%.h: runtime/%.h db/status.h
	@mkdir -p $(@D)
	$(Q)sed -e '/#include "..\/db\/status.h"/{r db/status.h' -e 'd}' $< > $@

# Tests: every tests/PART/NAME_test.c is one cmocka program, every tests/PART/NAME_test.sh a script.
TEST_BINS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/*/*_test.c))
$(B)/tests/%: tests/%.c $(OBJ_ALL)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_TS) $(CFLAGS_TS) -DTS_TEMPLATES_DIR='"$(CURDIR)/templates"' -MMD -MP $< $(OBJ_ALL) -o $@ $(LIBS_TEST) $(LIBS_GEN) $(LIBS_RUNTIME)

# What a start and a lookup cost (make bench-lookup, bench-start); the first counts allocations and locks.
$(B)/tests/bench/lookup: LIBS_TEST := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=pthread_mutex_lock
COST_PROGRAMS := $(B)/tests/bench/lookup $(B)/tests/bench/start
## make bench-lookup DB=FILE   opening a database and finding kernels in it; also counts allocations and locks
bench-lookup: $(B)/tests/bench/lookup
	@$< --check $(BENCH_DEVICE:%=--device %) $(or $(DB),$(B)/tunesmith.db)
.PHONY: bench-lookup bench-start
## make bench-start DB=FILE    process start to first kernel done, beside opening the device alone (BENCH_DEVICE=cpu|cuda)
bench-start: $(B)/tests/bench/start
	@$< --device $(or $(BENCH_DEVICE),cuda) $(or $(DB),$(B)/tunesmith.db)

# It makes its videos itself.
$(B)/tests/vision/video_test: LIBS_TEST += $(if $(LIBAV),-lavformat -lavcodec -lavutil)
$(B)/tests/vision/video_test: CPPFLAGS_TS += $(if $(LIBAV),-DTS_LIBAV)

## make install     to PREFIX (/usr/local), staged below DESTDIR; `make uninstall` removes the same files
PREFIX    ?= /usr/local
BINDIR    ?= $(PREFIX)/bin
LIBDIR    ?= $(PREFIX)/lib
PYTHONDIR ?= $(PREFIX)/lib/python3/dist-packages
HEADERS   := include/tunesmith.h include/tunesmith_kernels.h
MANUALS   := tuner/tune.1 runtime/infer/infer.1
# All of templates/: kernel text, targets, cases and oracles, since the tuner hashes and compiles from them.
TEMPLATE_FILES := $(shell find templates -type f ! -name '.*' | LC_ALL=C sort)
INSTALLED = $(BINDIR)/tune $(BINDIR)/infer $(LIBDIR)/libtunesmith.a $(LIBDIR)/libtunesmith.so $(LIBDIR)/$(SONAME) \
    $(LIBDIR)/libtunesmith.so.$(VERSION) $(LIBDIR)/pkgconfig/tunesmith.pc $(PYTHONDIR)/tunesmith.py \
    $(HEADERS:%=$(PREFIX)/%) $(FAMILIES:%=$(PREFIX)/include/tunesmith/%/args.h) \
    $(patsubst %,$(PREFIX)/share/man/man1/%,$(notdir $(MANUALS))) $(TEMPLATE_FILES:%=$(PREFIX)/share/tunesmith/%)

# The library as it is installed: its packages are the system's, so it has no run path.
$(B)/install/libtunesmith.so: $(OBJ_LIB) runtime/tunesmith.map
	@mkdir -p $(@D)
	$(Q)$(LINK_SHARED)
install: all $(B)/install/libtunesmith.so
	@umask 022; set -e; put() { install -D -m "$$1" "$$2" "$(DESTDIR)$$3"; }; \
	put 755 $(B)/tune $(BINDIR)/tune; put 755 $(B)/infer $(BINDIR)/infer; \
	put 644 $(B)/libtunesmith.a $(LIBDIR)/libtunesmith.a; \
	put 644 $(B)/install/libtunesmith.so $(LIBDIR)/libtunesmith.so.$(VERSION); \
	ln -sf libtunesmith.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME); ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libtunesmith.so; \
	put 644 runtime/tunesmith.pc.in $(LIBDIR)/pkgconfig/tunesmith.pc; \
	sed -i -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@LIBDIR@|$(LIBDIR:$(PREFIX)/%=$${prefix}/%)|' \
	    -e 's|@PYTHONDIR@|$(PYTHONDIR:$(PREFIX)/%=$${prefix}/%)|' $(DESTDIR)$(LIBDIR)/pkgconfig/tunesmith.pc; \
	put 644 runtime/python/tunesmith.py $(PYTHONDIR)/tunesmith.py; \
	for f in $(HEADERS); do put 644 $(B)/$$f $(PREFIX)/$$f; done; \
	for f in $(FAMILIES); do put 644 templates/$$f/args.h $(PREFIX)/include/tunesmith/$$f/args.h; done; \
	for f in $(MANUALS); do put 644 $$f $(PREFIX)/share/man/man1/$${f##*/}; done; \
	for f in $(TEMPLATE_FILES); do put 644 $$f $(PREFIX)/share/tunesmith/$$f; done
	@echo "  installed below $(DESTDIR)$(PREFIX)"
# Folders of ours go when they are empty: a database in share/tunesmith stays.
uninstall:
	@for f in $(INSTALLED); do rm -f "$(DESTDIR)$$f"; done
	@find $(DESTDIR)$(PREFIX)/share/tunesmith $(DESTDIR)$(PREFIX)/include/tunesmith -depth -type d -empty -delete 2>/dev/null || true

## make dist        build/tunesmith-VERSION.tar.gz from the committed sources; the same bytes for the same commit
dist:
	@mkdir -p $(B)
	@git diff --quiet HEAD || echo "dist: what is not committed is left out" >&2
	@git archive --format=tar --prefix=tunesmith-$(VERSION)/ -o $(B)/dist.tar HEAD
	@gzip -9nc $(B)/dist.tar > $(B)/tunesmith-$(VERSION).tar.gz && rm $(B)/dist.tar
	@echo "  $(B)/tunesmith-$(VERSION).tar.gz"

## make release     RELEASE_OUT (build)/tunesmith-VERSION-linux-MACHINE.tar.gz: programs, library and a signed database a target of
##                  RELEASE_WINNERS (db/winners), compiled from their text; signs with RELEASE_KEY=FILE, else with a key of its own
RELEASE_WINNERS ?= db/winners
RELEASE_OUT     ?= $(B)
.PHONY: release
release: all nvrtc
	@rm -rf $(B)/release/stage
	@$(MAKE) --no-print-directory install DESTDIR=$(B)/release/stage PREFIX=/release >/dev/null
	@RELEASE_KEY="$(RELEASE_KEY)" runtime/release/pack $(B) $(VERSION) $(RELEASE_WINNERS) $(RELEASE_OUT)

# Fuzzing: tests/fuzz/NAME_fuzz.c is one target, tests/fuzz/corpus/NAME/ its seeds. Everything is built a second time
# with sanitizers: by clang with libFuzzer to search, by any compiler with a main of our own to replay the corpora.
FUZZ_TARGETS := $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_TIME    ?= 600
FUZZ_PACKAGES := clang libclang-rt-dev
ASAN_FLAGS   := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
OBJ_FUZZED   := $(sort $(OBJ_LIB) $(OBJ_GEN) $(call objs,$(SRC_WRITE) tests/fuzz/fuzz.c))
.PHONY: fuzz asan
$(B)/fuzz/%: $(B)/obj/tests/fuzz/%_fuzz.o $(OBJ_FUZZED)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_TS) -fsanitize=fuzzer $^ -o $@ $(LIBS_GEN) $(LIBS_RUNTIME)
$(B)/replay/%: $(B)/obj/tests/fuzz/%_fuzz.o $(B)/obj/tests/fuzz/replay.o $(OBJ_FUZZED)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_TS) $^ -o $@ $(LIBS_GEN) $(LIBS_RUNTIME)

## make fuzz        FUZZ_TIME=600 seconds of each fuzz target (FUZZ_TARGETS) in turn; the last line says runs and findings
fuzz:
	@$(MAKE) --no-print-directory packages PACKAGES="$(PACKAGES) $(FUZZ_PACKAGES)"
	@$(MAKE) --no-print-directory -j$$(nproc) B=build/fuzz CC=clang CFLAGS="$(ASAN_FLAGS) -fsanitize=fuzzer-no-link" \
	    $(FUZZ_TARGETS:%=build/fuzz/fuzz/%)
	@tests/fuzz/run $(FUZZ_TIME) $(FUZZ_TARGETS)

## make asan        programs and corpus replays with the address and undefined-behaviour sanitizers, in build/asan/
asan:
	@$(MAKE) --no-print-directory -j$$(nproc) B=build/asan CFLAGS="$(ASAN_FLAGS)" build/asan/infer build/asan/tune \
	    $(FUZZ_TARGETS:%=build/asan/replay/%)

## make demo        the main job: set up, build, tune for the GPU (else the CPU), continue a text with the result
demo:
	@tests/demo

## make test        everything that needs no GPU; the last line states passed, failed, skipped
test: setup
	@$(MAKE) --no-print-directory packages PACKAGES="$(TEST_PACKAGES)"
	@$(MAKE) --no-print-directory -j$$(nproc) all check-deps $(TEST_BINS) $(REPORT_PROGRAMS) $(COST_PROGRAMS)
	@$(MAKE) --no-print-directory asan
	@tests/run

## make test-extra  tests that need heavy packages (EXTRA_PACKAGES), among them a Slurm of one node; fails where one is missing
EXTRA_PACKAGES := chromium python3-pil munge slurmctld slurmd slurm-client
.PHONY: test-extra
test-extra: all
	@$(MAKE) --no-print-directory packages PACKAGES="$(EXTRA_PACKAGES)"
	@tests/extra/run

## make test-mutants  240 wrong C kernels, made by rule from the templates: the verification must reject them all
.PHONY: test-mutants
test-mutants: all
	@tests/mutants/run --gpu cpu --count 240 --seed 2

## make test-gpu    every CUDA variant against the oracle, sanitizers on a sample, model parity (needs a GPU)
test-gpu: all $(TEST_BINS)
	@tests/gpu/run

## make bench       families and models against their peers on this machine, with the distance to the limit
bench: all $(B)/tests/bench/cpu
	@tests/bench/run

# The peers of the CPU benchmark: plain loops as a user would build them, so with the user's usual flags.
$(B)/tests/bench/cpu: tests/bench/cpu.c tests/bench/plain_loops.c $(B)/libtunesmith.a
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -Wall -Wextra -Wno-missing-field-initializers -O3 -march=native -fopenmp $^ -o $@ $(LIBS_RUNTIME)

# The programs that `make report` runs beside tune and infer.
REPORT_PROGRAMS := $(B)/report/classifier $(B)/report/memory
$(B)/report/classifier: $(call objs,tests/bench/report/classifier.c tests/bench/report/network.c) $(B)/libtunesmith.a
$(B)/report/memory: $(call objs,tests/bench/report/memory.c) $(B)/libtunesmith.a
$(REPORT_PROGRAMS):
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_TS) $^ -o $@ $(LIBS_RUNTIME)

# Kernel Tuner comes from PyPI into a virtual environment of its own; scikit-optimize is what one of its strategies needs.
## make bench-search SPACES='FILE...'   our strategies beside Kernel Tuner's on its cache files; fails where auto is behind
KERNEL_TUNER := $(B)/kernel-tuner
SEARCH_SPACES = $(wildcard tests/bench/spaces/*.json*) $(SPACES)
.PHONY: bench-search
$(KERNEL_TUNER)/.installed:
	@python3 -m venv $(@D) && $(@D)/bin/pip install -q kernel_tuner==1.5.0 scikit-optimize && touch $@
bench-search: $(B)/tune $(KERNEL_TUNER)/.installed
	@$(KERNEL_TUNER)/bin/python3 tests/bench/search.py $(SEARCH_FLAGS) $(SEARCH_SPACES)

## make report      build/report.html: the report's tables and figures, measured now (REPORT_DEVICE=cpu|cuda, REPORT_MODEL=DIR)
REPORT_FIGURES ?= $(B)/report/figures.json
.PHONY: report
report: PACKAGES += python3-matplotlib
report: packages all $(REPORT_PROGRAMS)
	@tests/bench/report/embeds.py tests/fixtures/mamba-shakespeare $(B)/report/embeds
	@tests/bench/report/collect.py --json $(REPORT_FIGURES) $(REPORT_DEVICE:%=--device %) $(REPORT_MODEL:%=--model %)
	@tests/bench/report/page.py $(REPORT_FIGURES) $(B)/report.html

## make docs        README's tables from tests/bench/results/
docs:
	@tests/bench/tables.py

## make check-real MAMBA=DIR QWEN=DIR   published texts and logits on real model directories; an absent one is skipped
check-real: all
	@tests/real/check --mamba "$(MAMBA)" --qwen "$(QWEN)"

## make check-deps  which folder includes what, and what the runtime library may link
check-deps: $(B)/libtunesmith.so $(B)/infer
	@tests/check-deps

## make clean       remove build/
clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
