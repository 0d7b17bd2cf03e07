/* What the page is made of (assets.c). NUL-terminated. */
#ifndef TUNER_REPORT_ASSETS_H
#define TUNER_REPORT_ASSETS_H

extern const char tuner_page_style[], tuner_page_script[], tuner_page_chart_js[];

#endif
