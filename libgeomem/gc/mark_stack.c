/* mark_stack.c - the memory of a marker: its stacks, and the map of where blocks to be marked may lie. See mark.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/mark.h"

/* Address space of a stack. A stack cannot grow beyond the words of the heap; where so much may not be reserved, less is
 * tried. Measured peaks: bench/gc. */
#define MARK_STACK_BYTES ((size_t)64 << 30)
#define MARK_STACK_LEAST_BYTES ((size_t)64 << 20)
/* Kept behind a stack between collections. */
#define MARK_STACK_KEPT_BYTES ((size_t)256 << 10)

/* Behind each stack: whatever runs into it before it is noticed faults there, and overwrites nothing. */
#define MARK_STACK_GUARD_BYTES ((size_t)4096)
/* Words that may be pushed before the next look whether there is room: a piece's, and a FIFO's. */
#define MARK_STACK_ROOM ((size_t)2 * GM_MARK_PIECE_WORDS)

/* ---- stacks ---- */

int gm_mark_stack_init(struct gm_mark_stack *stack)
{
    for (size_t bytes = MARK_STACK_BYTES; bytes >= MARK_STACK_LEAST_BYTES; bytes /= 4) {
        void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED)
            continue;
        bytes -= MARK_STACK_GUARD_BYTES;
        mprotect((char *)memory + bytes, MARK_STACK_GUARD_BYTES, PROT_NONE);
        stack->memory = stack->bottom = stack->top = stack->peak = memory;
        stack->limit = stack->bottom + bytes / sizeof(uintptr_t);
        return 0;
    }
    return -ENOMEM;
}

void gm_mark_stack_done(struct gm_mark_stack *stack)
{
    if (stack->memory)
        munmap(stack->memory,
            (size_t)((char *)stack->limit - (char *)stack->memory) + MARK_STACK_GUARD_BYTES);
    memset(stack, 0, sizeof *stack);
}

/* No stdio: a stopped thread may hold its locks. */
static __attribute__((noinline, cold)) void stack_is_full(void)
{
    static const char text[] =
        "libgeomem: a mark stack is full: the limit on the address space of the "
        "process (ulimit -v) has to be raised\n";
    gm_sys3(SYS_write, 2, text, sizeof text - 1);
    abort();
}

/* Higher than ever since it was trimmed: rarely. */
void gm_mark_stack_grew(struct gm_mark_stack *stack)
{
    stack->peak = stack->top;
    if (stack->top + MARK_STACK_ROOM > stack->limit)
        stack_is_full();
}

void gm_mark_stack_append(struct gm_mark_stack *stack, const void *from, size_t words)
{
    if (words > (size_t)(stack->limit - stack->top))
        stack_is_full();
    memcpy(stack->top, from, words * sizeof *stack->top);
    stack->top += words;
    if (stack->top > stack->peak)
        gm_mark_stack_grew(stack);
}

static void stack_trim(struct gm_mark_stack *stack)
{
    char *kept = (char *)stack->memory + MARK_STACK_KEPT_BYTES;
    size_t used = (size_t)((char *)stack->peak - (char *)stack->memory);
    if (used > MARK_STACK_KEPT_BYTES)
        madvise(kept, (used - MARK_STACK_KEPT_BYTES + 4095) & ~(size_t)4095, MADV_DONTNEED);
    stack->peak = stack->bottom;
}

/* Bytes of a map: a bit for each slice. */
#define MAP_BYTES (gm_range.bytes >> GM_SLICE_LOG2 >> 3)

static int map_init(struct gm_mark_map *map)
{
    void *bits = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bits == MAP_FAILED)
        return -ENOMEM;
    *map = (struct gm_mark_map){.bits = bits};
    return 0;
}

static void map_done(struct gm_mark_map *map)
{
    if (map->bits)
        munmap(map->bits, MAP_BYTES);
    map->bits = NULL;
}

int gm_marker_init(struct gm_marker *marker)
{
    memset(marker, 0, sizeof *marker);
    if (gm_mark_stack_init(&marker->words) == 0 && gm_mark_stack_init(&marker->pieces) == 0 &&
        map_init(&marker->map) == 0 && map_init(&marker->wider) == 0)
        return 0;
    gm_marker_done(marker);
    return -ENOMEM;
}

void gm_marker_done(struct gm_marker *marker)
{
    gm_mark_stack_done(&marker->words);
    gm_mark_stack_done(&marker->pieces);
    map_done(&marker->map);
    map_done(&marker->wider);
}

void gm_marker_trim(struct gm_marker *marker)
{
    stack_trim(&marker->words);
    stack_trim(&marker->pieces);
}

/* ---- where to look ---- */

static void map_reach(struct gm_mark_map *map, size_t first, size_t end)
{
    if (map->first == map->end)
        map->first = first, map->end = end;
    if (first < map->first)
        map->first = first;
    if (end > map->end)
        map->end = end;
}

static void map_clear(struct gm_mark_map *map)
{
    memset(map->bits + map->first, 0, (map->end - map->first) * sizeof *map->bits);
    map->first = map->end = 0;
}

static void map_add(struct gm_mark_map *map, const struct gm_mark_map *other)
{
    map_reach(map, other->first, other->end);
    for (size_t i = other->first; i < other->end; i++)
        map->bits[i] |= other->bits[i];
}

void gm_mark_nowhere(struct gm_marker *marker)
{
    map_clear(&marker->map);
    map_clear(&marker->wider);
    marker->root_map = &marker->map;
}

void gm_mark_in_span(struct gm_marker *marker, const struct gm_span *span)
{
    struct gm_mark_map *map = &marker->map;
    size_t slice = (span->start - gm_range.start) >> GM_SLICE_LOG2;
    size_t end = slice + span->slices;
    map_reach(map, slice / 64, (end + 63) / 64);
    for (; slice < end; slice++)
        map->bits[slice / 64] |= (uint64_t)1 << slice % 64;
}

void gm_mark_roots_in_map(struct gm_marker *marker, const struct gm_mark_map *map)
{
    map_add(&marker->wider, &marker->map);
    map_add(&marker->wider, map);
    marker->root_map = &marker->wider;
}
