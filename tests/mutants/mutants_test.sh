#!/bin/bash
# A seeded sample of wrong C kernels: all must be rejected (`make test-mutants` for many more, tests/gpu/run mutants on a GPU).
cd "$(dirname "$0")/../.." || exit 1
exec tests/mutants/run --gpu cpu --count "${TUNESMITH_TEST_MUTANTS:-20}" --seed "${TUNESMITH_TEST_SEED:-1}"
