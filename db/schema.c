/* schema.sql as a C string.
 *
 * The assembler copies the file in, so that it stays an SQL file and no generator is needed. The
 * path is relative to the repository root, where make runs; the Makefile names schema.sql as a
 * dependency, which the compiler cannot see.
 */
#include "file.h"

__asm__(".section .rodata\n"
        ".global db_schema_sql\n"
        ".hidden db_schema_sql\n"
        "db_schema_sql:\n"
        ".incbin \"db/schema.sql\"\n"
        ".byte 0\n"
        ".previous\n");
