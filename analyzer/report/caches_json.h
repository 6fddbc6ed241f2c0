/* caches_json.h - the document of geomem-report caches. */
#ifndef GM_ANALYZER_REPORT_CACHES_JSON_H
#define GM_ANALYZER_REPORT_CACHES_JSON_H

#include "analyzer/core/cache_views.h"
#include "analyzer/report/report.h"

int caches_json(struct report *report, const struct gm_cache_views *views);

#endif
