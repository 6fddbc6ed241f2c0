/* text.h - making text from outside safe to show and to store.
 *
 * Names of symbols, threads, files and marks come from the recorded program or from the file
 * system: they may hold control characters, bytes that are no UTF-8, and characters that change the
 * direction of what follows on a terminal. Each such byte becomes the four characters \xHH;
 * everything else stays. Thread-safe, async-signal-safe, no allocation.
 */
#ifndef GM_SCHEMAS_TEXT_H
#define GM_SCHEMAS_TEXT_H

#include <stddef.h>

/* Longest cleaned form of `bytes` bytes, with the terminating zero. */
#define GM_TEXT_CLEAN_ROOM(bytes) ((bytes)*4 + 1)

/* Writes the cleaned form of the `bytes` bytes at `text` into `out`, cut at a character's end where
 * `room` is too small, always zero-terminated (room > 0). Returns the length written. A zero byte
 * ends the text. */
size_t gm_text_clean_bytes(const char *text, size_t bytes, char *out, size_t room);

/* The same for a zero-terminated text. Returns `out`, so it can stand in an argument list. NULL:
 * "". */
const char *gm_text_clean(const char *text, char *out, size_t room);

/* Appends `text` to out as a JSON string with quotes, cleaned first; returns `out`. Cut like
 * gm_text_clean, but the closing quote is always there (room >= 3). */
const char *gm_text_json(const char *text, char *out, size_t room);

#endif
