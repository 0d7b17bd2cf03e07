#!/bin/bash
# Every prototype and constant of runtime/cuda_driver.h against a toolkit's cuda.h; skipped where there is none of CUDA 12.0 or newer.
cd "$(dirname "$0")/../.." || exit 1
for header in ${CUDA_HOME:+"$CUDA_HOME/include/cuda.h"} /usr/local/cuda/include/cuda.h /usr/include/cuda.h; do
    [ -f "$header" ] && break
done
[ -f "$header" ] && [ "$(sed -n 's/^#define CUDA_VERSION //p' "$header")" -ge 12000 ] || exit 77
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT

# The internal view of cuda.h declares the exported names as they are, without its renaming macros.
cat >"$work/prototypes.c" <<'C'
#define __CUDA_API_VERSION_INTERNAL
#include TOOLKIT_HEADER
#define RT_CUDA_TYPES_FROM_TOOLKIT
#include "runtime/cuda_driver.h"
#define CHECK(symbol, parameters)                                                            \
    _Static_assert(__builtin_types_compatible_p(__typeof__(&symbol), CUresult(*) parameters), #symbol);
RT_CUDA_FUNCTIONS(CHECK)
RT_CUDA_NEWER_FUNCTIONS(CHECK)
C
cc -std=gnu17 -I. -DTOOLKIT_HEADER="<$header>" -fsyntax-only "$work/prototypes.c" || exit 1

# Values: ours go into a table under our header, theirs are compared in a second unit.
names=$(sed -n '/^enum {/,/^};/p' runtime/cuda_driver.h | grep -oE '^ +CU[A-Z0-9_]+')
{
    echo '#include "runtime/cuda_driver.h"'
    echo 'const int ours[] = {'
    for n in $names; do echo "$n,"; done
    echo '}; const int sizes[] = { sizeof(CUresult), sizeof(CUdevice), sizeof(CUdeviceptr), sizeof(CUuuid), sizeof(CUtensorMap), sizeof(CUlaunchAttribute), sizeof(CUlaunchConfig) };'
} >"$work/ours.c"
{
    echo '#include TOOLKIT_HEADER'
    echo '#include <stdio.h>'
    echo 'extern const int ours[], sizes[]; static const struct { const char *name; int value; } theirs[] = {'
    for n in $names; do echo "{ \"$n\", (int)$n },"; done
    cat <<'C'
};
int main(void) {
    static const int want[] = { sizeof(CUresult), sizeof(CUdevice), sizeof(CUdeviceptr), sizeof(CUuuid), sizeof(CUtensorMap), sizeof(CUlaunchAttribute), sizeof(CUlaunchConfig) };
    int bad = 0;
    for (unsigned i = 0; i < sizeof theirs / sizeof theirs[0]; i++)
        if (ours[i] != theirs[i].value) bad = 1, printf("%s is %d, not %d\n", theirs[i].name, theirs[i].value, ours[i]);
    for (unsigned i = 0; i < sizeof want / sizeof want[0]; i++)
        if (sizes[i] != want[i]) bad = 1, printf("type %u has %d bytes\n", i, want[i]);
    return bad;
}
C
} >"$work/theirs.c"
cc -std=gnu17 -I. -DTOOLKIT_HEADER="<$header>" "$work/ours.c" "$work/theirs.c" -o "$work/values" && "$work/values"
