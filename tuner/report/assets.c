/* The page's parts and its chart library as C strings; the paths of ours are relative to the repository
 * root, where make runs, and the library's folder is its Debian package's (libjs-chart.js). */
#include "assets.h"

#define ASSET(name, path)                     \
    __asm__(".section .rodata\n"              \
            ".global " #name "\n"             \
            ".hidden " #name "\n" #name ":\n" \
            ".incbin \"" path "\"\n"          \
            ".byte 0\n"                       \
            ".previous\n")

ASSET(tuner_page_style, "tuner/report/page.css");
ASSET(tuner_page_script, "tuner/report/page.js");
ASSET(tuner_page_chart_js, "/usr/share/javascript/chart.js/chart.min.js");
