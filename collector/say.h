/* say.h - what geomem-record tells its user: lines on standard error, each written at once, so that they do
 * not mix with the program's own.
 */
#ifndef GM_COLLECTOR_SAY_H
#define GM_COLLECTOR_SAY_H

#include <stddef.h>
#include <stdint.h>

/* "geomem-record: " and the text, in one write; a line of progress is wiped first. */
void gm_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line that the next one replaces; only for terminals. */
void gm_say_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void gm_say_progress_end(void);

/* "812 B", "4.0 kB", "1.2 GB": decimal, as everywhere in geomem. Returns out. */
#define GM_SAY_FIGURE 32
const char *gm_say_bytes(uint64_t bytes, char out[static GM_SAY_FIGURE]);
/* "1,234,567" */
const char *gm_say_count(uint64_t count, char out[static GM_SAY_FIGURE]);
/* A file name as a shell takes it: cleaned, in quotes where it needs them. */
const char *gm_say_file(const char *name, char *out, size_t room);

#endif
