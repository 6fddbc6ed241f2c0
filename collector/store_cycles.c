/* store_cycles.c - see store_cycles.h. */
#include "collector/store_cycles.h"

#include <assert.h>
#include <stdlib.h>

#include "collector/store_bind.h"
#include "schemas/wire.h"

struct gm_store_cycles {
    sqlite3 *db;
    sqlite3_stmt *insert;
    size_t
        added; /* since rows were last thinned out; after a transaction that failed too many, which does no harm */
};

#define GM_X(name, text) #name ", "
static const char insert_text[] = "INSERT INTO gc_cycle (" GM_CYCLE_FIGURES(
    GM_X) "process_id, heap, number, kind, cause, start_ns, end_ns) VALUES (?, ?, ?, ?, ?, ?, ?, "
          "?, "
          "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
#undef GM_X

#define SUM(name) #name " = gc_cycle." #name " + f." #name ", "
#define MAX(name) #name " = max(gc_cycle." #name ", f." #name "), "
/* Of the collection that stopped the world longest: figures of one moment have no sum. */
#define LONGEST(name) \
#name " = CASE WHEN f.max_pause_ns > gc_cycle.max_pause_ns THEN f." #name \
          " ELSE gc_cycle." #name " END"

/* Pairs of neighbours; the second takes in the first, so that the newest id of all stays. */
static const char thin_text[] =
    "CREATE TEMP TABLE IF NOT EXISTS cycle_pair (first_id INTEGER PRIMARY KEY, last_id INTEGER NOT "
    "NULL);"
    "DELETE FROM cycle_pair;"
    "INSERT INTO cycle_pair SELECT min(cycle_id), max(cycle_id) FROM (SELECT cycle_id, process_id, "
    "kind, cause, (row_number() OVER (PARTITION BY process_id, kind, cause ORDER BY cycle_id) - 1) "
    "/ 2 AS pair FROM gc_cycle WHERE cycle_id <= (SELECT cycle_id FROM gc_cycle ORDER BY cycle_id "
    "DESC LIMIT 1 OFFSET 8192)) GROUP BY process_id, kind, cause, pair HAVING count(*) = 2;"
    "UPDATE gc_cycle SET start_ns = f.start_ns, " SUM(collections) SUM(stops) SUM(pause_ns)
        MAX(max_pause_ns) SUM(stop_ns) SUM(roots_ns) SUM(mark_ns) SUM(notes_ns) SUM(sweep_ns) SUM(
            concurrent_mark_ns) SUM(cpu_ns) MAX(threads_stopped) SUM(roots_bytes) SUM(dirty_bytes)
            SUM(marked_blocks) SUM(marked_bytes) SUM(swept_blocks) SUM(swept_bytes) SUM(
                promoted_blocks) SUM(promoted_bytes)
                LONGEST(young_before_bytes) "," LONGEST(young_after_bytes) "," LONGEST(
                    old_before_bytes) "," LONGEST(old_after_bytes) ","
                                                                   "footprint_bytes = "
                                                                   "max(gc_cycle.footprint_bytes, "
                                                                   "f.footprint_bytes)"
                                                                   " FROM cycle_pair p JOIN "
                                                                   "gc_cycle f ON f.cycle_id = "
                                                                   "p.first_id WHERE "
                                                                   "gc_cycle.cycle_id = p.last_id;"
                                                                   "DELETE FROM gc_cycle WHERE "
                                                                   "cycle_id IN (SELECT first_id "
                                                                   "FROM cycle_pair);"
                                                                   "DELETE FROM cycle_pair;";
static_assert(GM_CYCLES_WHOLE == 8192, "as in the statement");

int gm_store_cycles_create(sqlite3 *db, struct gm_store_cycles **ret_cycles)
{
    struct gm_store_cycles *cycles = calloc(1, sizeof *cycles);
    const char *const text = insert_text;
    if (!cycles)
        return SQLITE_NOMEM;
    cycles->db = db;
    int rc = gm_statements_prepare(db, &text, 1, &cycles->insert);
    if (rc != SQLITE_OK) {
        gm_store_cycles_free(cycles);
        return rc;
    }
    *ret_cycles = cycles;
    return SQLITE_OK;
}

void gm_store_cycles_free(struct gm_store_cycles *cycles)
{
    if (!cycles)
        return;
    gm_statements_finalize(&cycles->insert, 1);
    free(cycles);
}

int gm_store_cycles_batch(struct gm_store_cycles *cycles, const struct gm_batch *b)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < b->cycles.n && rc == SQLITE_OK; i++) {
        const struct gm_row_cycle *c = &b->cycles.v[i];
#define GM_X(name, text) I(c->figures[GM_CYCLE_##name]),
        rc = gm_row_write(cycles->insert, "iiiiiiiiiiiiiiiiiiiiiiiiiiissii",
            GM_CYCLE_FIGURES(GM_X) I(c->process_id), I(c->heap), I(c->number), c->kind, c->trigger,
            c->start_ns, c->end_ns);
#undef GM_X
    }
    cycles->added += b->cycles.n;
    if (rc != SQLITE_OK || cycles->added < GM_CYCLES_THIN_AFTER)
        return rc;
    cycles->added = 0;
    return sqlite3_exec(cycles->db, thin_text, NULL, NULL, NULL);
}
