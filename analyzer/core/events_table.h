/* events_table.h - gm_events, the events of a recording as a table in SQL; what it offers stands in docs/schema.md. */
#ifndef GM_ANALYZER_CORE_EVENTS_TABLE_H
#define GM_ANALYZER_CORE_EVENTS_TABLE_H

struct sqlite3;

/* Makes gm_events known to a connection. It reads table event_chunk of the connection's main database, and memory
 * is held for one chunk for each cursor, some 7 MB. Returns an SQLite result code. */
int gm_events_table_register(struct sqlite3 *db);

#endif
