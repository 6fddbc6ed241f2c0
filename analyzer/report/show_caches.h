/* show_caches.h - what several reports say of a program's caches. */
#ifndef GM_ANALYZER_REPORT_SHOW_CACHES_H
#define GM_ANALYZER_REPORT_SHOW_CACHES_H

#include "analyzer/core/cache_views.h"
#include "analyzer/report/report.h"

/* The caches, a line each, at most `usual` unless more were asked for. */
void show_caches_table(struct report *report, const struct gm_cache_views *views, size_t usual);

/* Uses by class and call site, pins that were not given back; of the whole recording. */
int show_cache_parts(struct report *report, const struct gm_cache_view *view);
/* Rows of what is said of one cache: --top counts caches. */
size_t show_cache_rows(const struct report *report, size_t usual, size_t n);

/* "GROW to 4.1 MB" */
char *show_cache_verdict(const struct gm_cache_view *view, char text[static 48]);
/* "79.2%"; "-" below 0. */
char *show_ratio(char text[static 32], double ratio);
/* A figure of the cache's sample: marked where the sample was not all keys. */
char *show_cache_count(const struct gm_cache *cache, char text[static 32], uint64_t count);
char *show_cache_ratio(const struct gm_cache *cache, char text[static 32], double ratio);

/* null below 0. */
void show_json_ratio(struct json *j, const char *key, double ratio);

#endif
