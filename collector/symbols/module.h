/* module.h - the file of a module, found, checked and opened; and a few of them kept open.
 *
 * Looked for, in this order: the path below the sysroot, the path itself (also without "
 * (deleted)"), and by build-id below the debug folders. A file counts only if its build-id is the
 * recorded one: names from another build would be wrong without a sign. Debug files are then found
 * by libdwfl: .build-id, .gnu_debuglink with its CRC, .gnu_debugaltlink, .gnu_debugdata. The
 * network is never asked.
 */
#ifndef GM_COLLECTOR_SYMBOLS_MODULE_H
#define GM_COLLECTOR_SYMBOLS_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/symbols/client.h"

struct gm_symmodule;

/* Where to look. Strings and array are borrowed. */
struct gm_symplaces {
    const char *sysroot; /* NULL: none */
    const char **debug_dirs;
    size_t debug_dir_count;
};

/* Opens a module; one without a file, or with nothing in it, is a valid one without names. Returns
 * 0 or -ENOMEM. */
int gm_symmodule_open(const struct gm_symplaces *places, const char *path, const char *build_id,
    struct gm_symmodule **ret_module);
void gm_symmodule_free(struct gm_symmodule *module);

enum gm_symbols_source gm_symmodule_source(const struct gm_symmodule *module);
/* Bytes of the files it holds mapped, about. */
uint64_t gm_symmodule_bytes(const struct gm_symmodule *module);
bool gm_symmodule_is(const struct gm_symmodule *module, const char *path, const char *build_id);

/* The lines of an address in the file; 0: none. Texts are valid until gm_symmodule_free. */
size_t gm_symmodule_find(struct gm_symmodule *module, uint64_t address,
    struct gm_symbols_line lines[GM_SYMBOLS_MAX_LINES]);

#endif
