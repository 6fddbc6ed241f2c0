/* events_sqlite.h - SQLite as the files of gm_events see it: linked, or, in the loadable extension, the routines of
 * whatever program has loaded it. For events_*.c only. */
#ifndef GM_ANALYZER_CORE_EVENTS_SQLITE_H
#define GM_ANALYZER_CORE_EVENTS_SQLITE_H

#ifdef GM_EVENTS_EXTENSION
#include <sqlite3ext.h>
extern const sqlite3_api_routines *sqlite3_api;
#else
#include <sqlite3.h>
#endif

#endif
