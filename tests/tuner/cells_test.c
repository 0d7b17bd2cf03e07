/* Names as a terminal lays them out. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "../../tuner/report/cells.h"

static void expect(const char *text, int columns, const char *shown, int taken) {
    ts_buf out = {0};
    assert_int_equal(tuner_cells_fit(text, columns, &out), taken);
    assert_string_equal(out.data ? out.data : "", shown);
    ts_buf_free(&out);
}

static void fits(void **state) {
    (void)state;
    expect("", 5, "", 0);
    expect("norm", 4, "norm", 4);
    expect("norm", 3, "no…", 3);
    expect("norm", 0, "", 0);
    expect("核心", 4, "核心", 4); /* two columns each */
    expect("核心", 3, "核…", 3);
    expect("核心", 2, "…", 1);
    expect("e\xcc\x81tude", 5, "e\xcc\x81tude", 5); /* a combining mark takes none */
}

static void steers_nothing(void **state) {
    (void)state;
    expect("a\033[2Jb", 20, "a?[2Jb", 6);
    expect("a\nb", 20, "a?b", 3);
    expect("\xc2\x9b", 20, "?", 1);     /* CSI of the C1 set */
    expect("\xe2\x80\xae", 20, "?", 1); /* right to left from here */
    expect("a\xff\xfe", 20, "a??", 3);
    expect("a\xe6\xa0", 20, "a??", 3); /* cut off */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fits), cmocka_unit_test(steers_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
