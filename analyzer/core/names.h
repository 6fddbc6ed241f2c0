/* names.h - names from a recording: copied clean, measured, cut, matched.
 *
 * Names come from the recorded program, so they are input: a symbol may hold an escape sequence.
 * All text the core hands out has passed gm_name_copy, so neither the report nor the screen can
 * forget it.
 */
#ifndef GM_ANALYZER_CORE_NAMES_H
#define GM_ANALYZER_CORE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* A copy without control characters and invalid bytes (schemas/text.h), to be freed; NULL without
 * memory. */
char *gm_name_copy(const char *text, size_t bytes);

/* Columns a clean name takes on a terminal (wide characters 2, combining ones 0); depends on the
 * locale. */
size_t gm_name_width(const char *name);

/* Bytes of the longest prefix that takes at most `columns` columns. */
size_t gm_name_prefix(const char *name, size_t columns);

/* The part behind the last '/', or the whole. */
const char *gm_name_base(const char *path);

/* True when `name` matches `pattern`: a glob if that holds * ? or [, otherwise a substring. NULL
 * never does. */
bool gm_name_match(const char *pattern, const char *name);

#endif
