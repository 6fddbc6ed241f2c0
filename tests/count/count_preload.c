/* count_preload.c - an independent count of a program's allocations, to hold recordings against.
 *
 * LD_PRELOAD this with COUNT_OUT=PREFIX in the environment. Each process image gets a file of its own,
 * PREFIX.PID.N (N counts the images of one pid), which is mapped and always up to date: however the
 * process ends, SIGKILL and exec included, its figures are there. The layout is struct counts; the
 * reader is tests/e2e/oracle.py.
 *
 * Its rules are its own and deliberately plain; it shares no code with what it checks:
 *  - malloc, calloc and every aligned form: one allocation of the bytes requested, if a block came out;
 *  - free(p): one free if p's allocation was seen in this process, else one unmatched free; free(NULL): none;
 *  - realloc: one free and one allocation; realloc(NULL, n) an allocation; realloc(p, 0) a free;
 *    one that failed: nothing;
 *  - a forked child starts at zero; blocks it inherits are unmatched when it frees them.
 * One mutex makes every operation whole, so the peak is exact for the order in which they took it.
 * It forwards to the next allocator behind it, which it looks up at the first call. Allocating signal
 * handlers are out of its reach, since it locks.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define COUNT_MAGIC 0x31544e554f434d47ull /* "GMCOUNT1" */

struct counts {
    uint64_t magic, pid, parent_pid;
    uint64_t allocs, frees, reallocs, alloc_bytes, free_bytes;
    uint64_t live_blocks, live_bytes, peak_blocks,
        peak_bytes; /* peak_blocks: live at the byte peak */
    uint64_t unmatched_frees, failed;
    char command[64];
};

/* Live blocks: open addressing, linear probing, grown at half load. address 0: free slot. */
struct entry {
    uintptr_t address;
    uint64_t bytes;
    uint64_t generation; /* of the process that allocated it, see count_generation */
};

static pthread_mutex_t count_lock = PTHREAD_MUTEX_INITIALIZER;
static struct counts count_nowhere; /* where figures go that have no file */
static struct counts *count = &count_nowhere;
static char count_prefix[512];
static bool count_ready;
static uint64_t count_generation = 1; /* one more in each forked child */
static struct entry *table;
static size_t table_room, table_used;

/* ---- the allocator behind us ---- */

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*memalign)(size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*valloc)(size_t);
    void *(*pvalloc)(size_t);
    void (*free)(void *);
} real;

static void *real_symbol(const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    if (!symbol) {
        static const char text[] = "libcount_preload: an allocator function is missing\n";
        if (write(2, text, sizeof text - 1) < 0)
            _exit(98);
        _exit(99);
    }
    return symbol;
}

/* All of these exist in libc, so no lookup fails, and a lookup that succeeds does not allocate. */
static void real_find(void)
{
    *(void **)&real.calloc = real_symbol("calloc");
    *(void **)&real.realloc = real_symbol("realloc");
    *(void **)&real.memalign = real_symbol("memalign");
    *(void **)&real.aligned_alloc = real_symbol("aligned_alloc");
    *(void **)&real.posix_memalign = real_symbol("posix_memalign");
    *(void **)&real.valloc = real_symbol("valloc");
    *(void **)&real.pvalloc = real_symbol("pvalloc");
    *(void **)&real.free = real_symbol("free");
    *(void **)&real.malloc = real_symbol("malloc");
}

/* The first call comes while the process has one thread: ld.so's, before any constructor. */
#define REAL(function) (real.malloc ? (void)0 : real_find(), real.function)

/* ---- the address table ---- */

static void *table_map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static size_t table_slot(uintptr_t address, size_t room)
{
    return (size_t)((address >> 4) * 0x9e3779b97f4a7c15ull >> 20) & (room - 1);
}

static void table_put(struct entry *entries, size_t room, struct entry entry)
{
    size_t slot = table_slot(entry.address, room);
    while (entries[slot].address && entries[slot].address != entry.address)
        slot = (slot + 1) & (room - 1);
    entries[slot] = entry;
}

static bool table_grow(void)
{
    size_t room = table_room ? table_room * 2 : 1 << 14;
    struct entry *bigger = table_map(room * sizeof *bigger);
    if (!bigger)
        return false;
    for (size_t i = 0; i < table_room; i++)
        if (table[i].address)
            table_put(bigger, room, table[i]);
    if (table)
        munmap(table, table_room * sizeof *table);
    table = bigger;
    table_room = room;
    return true;
}

static bool table_add(uintptr_t address, uint64_t bytes)
{
    if (table_used * 2 >= table_room && !table_grow())
        return false;
    table_put(table, table_room, (struct entry){address, bytes, count_generation});
    table_used++;
    return true;
}

/* Takes the entry out and closes the gap, so that probing needs no tombstones. */
static bool table_take(uintptr_t address, struct entry *ret_entry)
{
    if (!table_room)
        return false;
    size_t slot = table_slot(address, table_room);
    while (table[slot].address != address) {
        if (!table[slot].address)
            return false;
        slot = (slot + 1) & (table_room - 1);
    }
    *ret_entry = table[slot];
    for (size_t next = (slot + 1) & (table_room - 1); table[next].address;
         next = (next + 1) & (table_room - 1)) {
        size_t home = table_slot(table[next].address, table_room);
        if (((next - home) & (table_room - 1)) >= ((next - slot) & (table_room - 1))) {
            table[slot] = table[next];
            slot = next;
        }
    }
    table[slot].address = 0;
    table_used--;
    return true;
}

/* ---- the file ---- */

/* The prefix is read from /proc, not getenv: the first malloc comes before libc knows its environ. */
static void prefix_read(void)
{
    static const char name[] = "COUNT_OUT=";
    char byte, *out = NULL;
    size_t matched = 0, length = 0;
    int fd = open("/proc/self/environ", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    char chunk[4096];
    for (ssize_t got; (got = read(fd, chunk, sizeof chunk)) > 0;) {
        for (ssize_t i = 0; i < got; i++) {
            byte = chunk[i];
            if (out) {
                if (!byte || length + 1 == sizeof count_prefix)
                    goto out;
                out[length++] = byte;
            } else if (matched < sizeof name && byte == name[matched]) {
                if (++matched == sizeof name - 1)
                    out = count_prefix;
            } else {
                matched = byte ? sizeof name : 0; /* past the end: wait for the next variable */
            }
        }
    }
out:
    close(fd);
}

static void command_read(struct counts *counts)
{
    int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, counts->command, sizeof counts->command - 1);
    if (fd >= 0)
        close(fd);
    if (got > 0 && counts->command[got - 1] == '\n')
        counts->command[got - 1] = 0;
}

static void count_start(void)
{
    int saved = errno;
    count_ready = true;
    count = &count_nowhere;
    if (!count_prefix[0])
        prefix_read();
    if (!count_prefix[0])
        return;
    char path[600];
    int fd = -1;
    for (int image = 0; fd < 0 && image < 10000; image++) {
        snprintf(path, sizeof path, "%s.%d.%d", count_prefix, (int)getpid(), image);
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    if (fd >= 0 && ftruncate(fd, 4096) == 0) {
        void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED) {
            count = map;
            count->pid = (uint64_t)getpid();
            count->parent_pid = (uint64_t)getppid();
            command_read(count);
            count->magic = COUNT_MAGIC;
        }
    }
    if (fd >= 0)
        close(fd);
    errno = saved;
}

/* ---- the rules ---- */

static void rule_alloc(void *block, size_t bytes)
{
    if (!block) {
        count->failed++;
        return;
    }
    table_add((uintptr_t)block, bytes);
    count->allocs++;
    count->alloc_bytes += bytes;
    count->live_blocks++;
    count->live_bytes += bytes;
    if (count->live_bytes > count->peak_bytes) {
        count->peak_bytes = count->live_bytes;
        count->peak_blocks = count->live_blocks;
    }
}

static void rule_free(uintptr_t address)
{
    struct entry entry;
    if (!table_take(address, &entry) || entry.generation != count_generation) {
        count->unmatched_frees++;
        return;
    }
    count->frees++;
    count->free_bytes += entry.bytes;
    count->live_blocks--;
    count->live_bytes -= entry.bytes;
}

static void count_enter(void)
{
    pthread_mutex_lock(&count_lock);
    if (!count_ready)
        count_start();
}

static void count_leave(void)
{
    pthread_mutex_unlock(&count_lock);
}

static void *count_alloc(void *block, size_t bytes)
{
    count_enter();
    rule_alloc(block, bytes);
    count_leave();
    return block;
}

static void fork_prepare(void)
{
    count_enter();
}

/* The parent's file stays the parent's: the child drops the mapping's address, not its contents. */
static void fork_child(void)
{
    count_generation++;
    if (count != &count_nowhere)
        munmap(count, 4096);
    count_start();
    pthread_mutex_init(&count_lock, NULL);
}

__attribute__((constructor)) static void count_watch_forks(void)
{
    pthread_atfork(fork_prepare, count_leave, fork_child);
}

/* ---- the malloc family. None calls another by its exported name: that could be somebody else's. ---- */

EXPORT void *malloc(size_t bytes)
{
    return count_alloc(REAL(malloc)(bytes), bytes);
}

EXPORT void *calloc(size_t n, size_t bytes)
{
    return count_alloc(REAL(calloc)(n, bytes), n * bytes);
}

EXPORT void *memalign(size_t alignment, size_t bytes)
{
    return count_alloc(REAL(memalign)(alignment, bytes), bytes);
}

EXPORT void *aligned_alloc(size_t alignment, size_t bytes)
{
    return count_alloc(REAL(aligned_alloc)(alignment, bytes), bytes);
}

EXPORT void *valloc(size_t bytes)
{
    return count_alloc(REAL(valloc)(bytes), bytes);
}

EXPORT void *pvalloc(size_t bytes)
{
    return count_alloc(REAL(pvalloc)(bytes), bytes);
}

EXPORT int posix_memalign(void **ret_block, size_t alignment, size_t bytes)
{
    int result = REAL(posix_memalign)(ret_block, alignment, bytes);
    if (result == 0)
        count_alloc(*ret_block, bytes);
    else if (result == ENOMEM)
        count_alloc(NULL, bytes);
    return result;
}

/* The lock is held over the whole call: the old address may come out of another thread's malloc before
 * realloc returns, and that must be counted after it has left the table. */
static void *count_realloc(void *old, size_t bytes)
{
    count_enter();
    void *block = REAL(realloc)(old, bytes);
    if (!old) {
        rule_alloc(block, bytes);
    } else if (block) {
        rule_free((uintptr_t)old);
        rule_alloc(block, bytes);
        count->reallocs++;
    } else if (!bytes) {
        rule_free((uintptr_t)old);
    } else {
        count->failed++;
    }
    count_leave();
    return block;
}

EXPORT void *realloc(void *old, size_t bytes)
{
    return count_realloc(old, bytes);
}

EXPORT void *reallocarray(void *old, size_t n, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(n, bytes, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return count_realloc(old, total);
}

static void count_free(void *block)
{
    if (!block)
        return;
    count_enter();
    rule_free((uintptr_t)block);
    count_leave();
    REAL(free)(block);
}

EXPORT void free(void *block)
{
    count_free(block);
}

EXPORT void free_sized(void *block, size_t bytes);
EXPORT void free_sized(void *block, size_t bytes)
{
    (void)bytes;
    count_free(block);
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t bytes);
EXPORT void free_aligned_sized(void *block, size_t alignment, size_t bytes)
{
    (void)alignment;
    (void)bytes;
    count_free(block);
}
