/* Template text to kernel text: the three line forms, #line, includes, and errors that name the template's line. */
#include "scratch.h"

/* Text behind the header line, from `marker` on. */
static const char *body(const gen_source *source, const char *marker) {
    const char *at = strstr(source->text.data, marker);
    assert_non_null(at);
    return at;
}

static void golden(void **state) {
    (void)state;
    static const char template[] = "first ${n}\n"
                                   "$ for i = 1, 2 do\n"
                                   "  body ${i * 10} of ${args}\n"
                                   "$ end\n"
                                   "$ include(\"f/part.c.in\")\n"
                                   "  $ if target.has(\"fast\") and dtype == \"fp32\" then\n"
                                   "fast ${target.facts.lanes} ${({ 5 })[1]}\n"
                                   "$ end\n"
                                   "last\n";
    /* A directive stands only where the numbering drifts: not before line 1, nor between two lines in order. */
    static const char expected[] = "#line 1 \"templates/f/args.h\"\n" SCRATCH_ARGS
                                   "#line 1 \"templates/f/1_f.c.in\"\n"
                                   "first 7\n"
                                   "#line 3 \"templates/f/1_f.c.in\"\n"
                                   "  body 10 of f_args\n"
                                   "#line 3 \"templates/f/1_f.c.in\"\n"
                                   "  body 20 of f_args\n"
                                   "#line 1 \"templates/f/part.c.in\"\n"
                                   "one\n"
                                   "two 7\n"
                                   "#line 7 \"templates/f/1_f.c.in\"\n"
                                   "fast 4 5\n"
                                   "#line 9 \"templates/f/1_f.c.in\"\n"
                                   "last\n";
    scratch s;
    gen_source source = {0};
    scratch_open(&s, &(scratch_parts){.tunables = "{ \"n\", { 7 } }",
                                      .defaults = "n = 7",
                                      .template = template,
                                      .include = "one\ntwo ${n}\n"});
    assert_int_equal(s.status, TS_STATUS_OK);
    assert_int_equal(scratch_render(&s, &source), TS_STATUS_OK);
    assert_string_equal(body(&source, "#line 1 \"templates/f/args.h\""), expected);
    char *first_line = strndup(source.text.data, strcspn(source.text.data, "\n"));
    assert_non_null(strstr(first_line, "do not edit"));
    assert_non_null(strstr(first_line, "f/v n=7"));
    free(first_line);
    assert_non_null(
        strstr(source.text.data, "#line 1 \"templates/shared/prelude.c.in\"\nprelude\n"));
    gen_source_free(&source);
    scratch_close(&s);
}

static void macros_stay_whole(void **state) {
    (void)state;
    scratch s;
    gen_source source = {0};
    scratch_open(
        &s, &(scratch_parts){
                .template = "#define X \\\n$ for i = 1, 2 do\n  x${i} \\\n$ end\n  end\nnext\n"});
    assert_int_equal(scratch_render(&s, &source), TS_STATUS_OK);
    assert_string_equal(body(&source, "#define"), "#define X \\\n  x1 \\\n  x2 \\\n  end\n"
                                                  "#line 6 \"templates/f/1_f.c.in\"\nnext\n");
    gen_source_free(&source);
    scratch_close(&s);
}

static void numbers(void **state) {
    (void)state;
    scratch s;
    gen_source source = {0};
    scratch_open(&s, &(scratch_parts){.template = "${7 // 2} ${0.1} ${1 << 40} ${-3} ${4 / 2}\n"});
    assert_int_equal(scratch_render(&s, &source), TS_STATUS_OK);
    /* 17 digits give the double back; a float stays recognisable as one. */
    assert_string_equal(body(&source, "3 "), "3 0.10000000000000001 1099511627776 -3 2.0\n");
    gen_source_free(&source);
    scratch_close(&s);
}

static void errors_name_the_line(void **state) {
    (void)state;
    static const struct {
        const char *template, *include, *place, *text;
    } bad[] = {
        {"a\nb ${nowhere}\n", NULL, "templates/f/1_f.c.in:2", "nowhere"},
        {"a\n$ if then\n", NULL, "templates/f/1_f.c.in:2", "unexpected symbol"},
        {"a\n$ for i = 1, 2 do\nb\n", NULL, "templates/f/1_f.c.in:", "'end' expected"},
        {"a\n\nc ${1 +\n", NULL, "templates/f/1_f.c.in:3", "without '}'"},
        {"a\n\n\n$ fail(\"m is too \" .. \"odd\")\n", NULL, "templates/f/1_f.c.in", "m is too odd"},
        {"a\n${nil}\n", NULL, "templates/f/1_f.c.in:2", "nil"},
        {"a\n$ include(\"f/none.c.in\")\n", NULL, "f/none.c.in", "no such template file"},
        {"$ include(\"f/part.c.in\")\n", "one\n\n${two}\n", "templates/f/part.c.in:3", "two"},
        {"$ include(\"f/part.c.in\")\n", "$ include(\"f/part.c.in\")\n", "f/part.c.in", "too deep"},
        {"$ include(\"../../../etc/hostname\")\n", NULL, "hostname", "inside the template folders"},
        {"$ include(\"/etc/hostname\")\n", NULL, "hostname", "inside the template folders"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_render_fails(
            &(scratch_parts){.template = bad[i].template, .include = bad[i].include}, bad[i].place,
            bad[i].text);
}

/* The hash is that of the content: the same from two places, another for another text. */
static void hash_is_of_the_text(void **state) {
    (void)state;
    static const char *const templates[] = {"one\n", "one\n", "two\n"};
    char hashes[3][TS_HASH_HEX];
    for (size_t i = 0; i < 3; i++) {
        scratch s;
        gen_source source = {0};
        scratch_open(&s, &(scratch_parts){.template = templates[i]});
        assert_int_equal(scratch_render(&s, &source), TS_STATUS_OK);
        assert_null(strstr(source.text.data, s.dir));
        memcpy(hashes[i], source.hash, TS_HASH_HEX);
        gen_source_free(&source);
        scratch_close(&s);
    }
    assert_string_equal(hashes[0], hashes[1]);
    assert_string_not_equal(hashes[0], hashes[2]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),
        cmocka_unit_test(macros_stay_whole),
        cmocka_unit_test(numbers),
        cmocka_unit_test(errors_name_the_line),
        cmocka_unit_test(hash_is_of_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
