/* names.h - the names of one module as people read them: demangled once, kept while the module is
 * open.
 *
 * C++ names are shown in full, with parameters and without return types, as compilers and perf show
 * them; Rust names (both manglings) without the hash; everything else as it stands. Names are
 * hostile input: recursion, length and output are bounded, and a name that does not demangle within
 * the bounds is shown as far as it went.
 */
#ifndef GM_COLLECTOR_SYMBOLS_NAMES_H
#define GM_COLLECTOR_SYMBOLS_NAMES_H

#include <stddef.h>

struct gm_names { /* all zero: empty */
    struct gm_name *v;
    size_t n, room;
};

/* Writes the readable form of a linker symbol; ends in "..." when room was too small. Allocates nothing
 * that it does not free. */
void gm_name_demangle(const char *symbol, char *ret_name, size_t room);

/* Writes a source file's path without ".", ".." and empty parts, so that a file has one name however it was
 * included. A relative one is taken from folder if that is absolute or the path climbs; else folder is not used,
 * since builds that map their own folder away make it and their files relative to the same place. What ".."
 * leaves is found by the letters alone: the folders are those of another machine. A path that does not fit into
 * room is cut and ends in "...". */
void gm_name_path(const char *folder, const char *file, char *ret_path, size_t room);

/* The same two, remembered by the address of the symbol's or file's text, which must stay as it is until
 * gm_names_done. Return a text that lives as long as names, or the given one without memory. */
const char *gm_names_get(struct gm_names *names, const char *symbol);
const char *gm_names_path(struct gm_names *names, const char *folder, const char *file);
void gm_names_done(struct gm_names *names);

#endif
