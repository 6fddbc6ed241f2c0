/* show_gc.h - what several reports say of collected blocks. */
#ifndef GM_ANALYZER_REPORT_SHOW_GC_H
#define GM_ANALYZER_REPORT_SHOW_GC_H

#include "analyzer/core/collections.h"
#include "analyzer/report/report.h"

/* The collector's generations as a table, and below it what promotion was worth. */
void show_gc_generations(
    struct report *report, const struct gm_gc_generation generations[static 2]);

/* Members KEY_blocks and KEY_bytes of the object that is open. */
void show_json_gc_sum(struct json *j, const char *key, const struct gm_gc_sum *sum);
/* The member "gc_generations". */
void show_json_gc_generations(struct json *j, const struct gm_gc_generation generations[static 2]);

#endif
