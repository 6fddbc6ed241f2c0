/* client.h - names for code addresses: the recorder's side.
 *
 *   store --request--> client ==socket==> geomem-symbolize (one or more processes) --> ELF, DWARF
 *         <--result---        <==========
 *
 * Names come from files that the recorded program, or whoever wrote it, can choose, and a library
 * that reads such files may crash, spin or eat memory. So they are read in worker processes that
 * hold nothing but their socket. A worker that dies takes with it only the names of the one module
 * it was reading; the client starts another for the rest. What a worker says is checked like any
 * input.
 *
 * Rules: one thread at a time uses a client. No function but gm_symbols_poll with a timeout waits
 * for anything. The client calls back only from within gm_symbols_poll, and what it calls must not
 * call the client. Whoever waits for children with waitpid(-1) in the same process must expect
 * worker pids and may reap them; the client copes.
 */
#ifndef GM_COLLECTOR_SYMBOLS_CLIENT_H
#define GM_COLLECTOR_SYMBOLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most lines of one frame, and most bytes of a function's or file's name, without the terminating
 * zero. Both arbitrary: longer names are cut and end in "...", deeper inlining keeps the innermost
 * and the outermost. */
#define GM_SYMBOLS_MAX_LINES 128
#define GM_SYMBOLS_MAX_NAME 4095

/* Where the names of a module came from; the texts are those of column module.symbols. */
enum gm_symbols_source {
    GM_SYMBOLS_NONE,   /* no file, not the recorded one, nothing in it, or it killed its worker */
    GM_SYMBOLS_SYMTAB, /* ELF symbols: functions without files and lines */
    GM_SYMBOLS_DEBUG,  /* DWARF */
};
const char *gm_symbols_source_name(
    enum gm_symbols_source source); /* 'none', 'symtab', 'debug'; static */

/* One line of a frame. Texts end in zero, may hold any other byte, and live until the callback
 * returns. */
struct gm_symbols_line {
    const char *function; /* demangled, with parameters; NULL: unknown */
    const char *file;     /* NULL: unknown */
    uint32_t line;        /* 0: unknown */
};

/* What gm_symbols_poll calls. Every requested frame is answered exactly once. */
struct gm_symbols_handler {
    /* lines[0] is the innermost inlined function, lines[count - 1] the one with code of its own;
     * count 0: no name. */
    void (*frame)(
        void *context, uint32_t frame_id, const struct gm_symbols_line *lines, size_t count);
    /* Before the first frame of a module, and again should its source change (it killed its
     * worker). */
    void (*module)(void *context, uint32_t module_id, enum gm_symbols_source source);
    void *context;
};

/* All may be zero. Strings are copied. */
struct gm_symbols_options {
    const char *worker_path; /* NULL: geomem-symbolize as built or installed beside this program */
    const char *sysroot;     /* a module's path is first tried below this folder */
    const char *const *debug_dirs; /* searched like /usr/lib/debug, and before it */
    size_t debug_dir_count;
    unsigned workers; /* most worker processes once in a hurry; 0: one per processor, at most 4 */
    unsigned cpu_seconds; /* that one answer may take before its module is given up; 0: 60 */
    bool keep_stderr;     /* workers write to our stderr instead of /dev/null (for tests) */
};

struct gm_symbols;

/* Starts nothing yet: the first worker is spawned when there is work. Returns 0, -ENOENT when there
 * is no worker program, -ENOMEM. */
int gm_symbols_create(const struct gm_symbols_options *options, struct gm_symbols **ret_symbols);

/* Ends the workers at once and frees everything; unanswered requests are forgotten. NULL is
 * allowed. */
void gm_symbols_free(struct gm_symbols *symbols);

/* Makes a module known, before the first request for it; ids may come in any order and are given
 * once. path: as in /proc/PID/maps, also "[vdso]" or with " (deleted)" at its end. build_id:
 * lower-case hex, "" where the file had none: then the file at path is believed. Returns 0, -EINVAL
 * (id 0, id known or above 2^24, path too long), -ENOMEM. */
int gm_symbols_module(
    struct gm_symbols *symbols, uint32_t module_id, const char *path, const char *build_id);

/* Asks for the name of an address of a module's file (column frame.address). exact_pc: the address
 * is that of an instruction; else it is a return address and the call before it is meant. Returns
 * 0, -EINVAL (unknown module), -ENOMEM. */
int gm_symbols_request(struct gm_symbols *symbols, uint32_t frame_id, uint32_t module_id,
    uint64_t address, bool exact_pc);

/* Hands work to workers, waits up to timeout_ms (0: not at all, < 0: without limit) until something
 * is answered, and calls back for all that is. Returns the number of frames answered, or a negative
 * errno when no worker can be started or works (gm_symbols_message says why): then the requests
 * stay pending, for good. */
int gm_symbols_poll(
    struct gm_symbols *symbols, int timeout_ms, const struct gm_symbols_handler *handler);

/* Ends the workers; what is not answered stays pending. Returns the CPU time that all workers took. */
uint64_t gm_symbols_stop(struct gm_symbols *symbols);

/* Requests not answered yet. */
size_t gm_symbols_pending(const struct gm_symbols *symbols);

/* From now on at normal priority and with all workers: the recording is over and somebody waits.
 * Before, one worker runs, and only where a processor would be idle. */
void gm_symbols_hurry(struct gm_symbols *symbols);

/* One line about the last failure; "" when there was none. Valid until the next call. */
const char *gm_symbols_message(const struct gm_symbols *symbols);

#endif
