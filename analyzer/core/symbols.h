/* symbols.h - names read so far, so that each is read once; for the core's own files only. */
#ifndef GM_ANALYZER_CORE_SYMBOLS_H
#define GM_ANALYZER_CORE_SYMBOLS_H

struct gm_symbols;

struct gm_symbols *gm_symbols_create(void); /* NULL without memory */
/* Takes NULL. Before the database is closed, since it holds prepared statements. */
void gm_symbols_free(struct gm_symbols *symbols);

/* Gives up the prepared statements, keeps the names. */
void gm_symbols_release(struct gm_symbols *symbols);

#endif
