/* events_extension.c - gm_events as an extension that any program with SQLite can load:
 *
 *   sqlite3 run.geomem ".load /usr/local/lib/geomem/geomem_events" "SELECT count(*) FROM gm_events"
 */
#include <sqlite3ext.h>

#include "analyzer/core/events_table.h"

SQLITE_EXTENSION_INIT1

/* SQLite makes the name from that of the file. */
__attribute__((visibility("default"))) int sqlite3_geomemevents_init(
    sqlite3 *db, char **ret_message, const sqlite3_api_routines *api);

int sqlite3_geomemevents_init(sqlite3 *db, char **ret_message, const sqlite3_api_routines *api)
{
    (void)ret_message;
    SQLITE_EXTENSION_INIT2(api);
    return gm_events_table_register(db);
}
