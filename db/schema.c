/* schema.sql, and what differed in version 1, as C strings.
 *
 * The assembler copies the files in, so that they stay SQL files and no generator is needed. The
 * path is relative to the repository root, where make runs; the Makefile names them as
 * dependencies, which the compiler cannot see.
 */
#include "file.h"

#define EMBED(name, path)                     \
    __asm__(".section .rodata\n"              \
            ".global " #name "\n"             \
            ".hidden " #name "\n" #name ":\n" \
            ".incbin \"" path "\"\n"          \
            ".byte 0\n"                       \
            ".previous\n")

EMBED(db_schema_sql, "db/schema.sql");
EMBED(db_schema_1_sql, "db/schema_1.sql");
