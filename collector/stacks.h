/* stacks.h - the dictionary of stacks.
 *
 *   target's words:   hash of a stack --per process--> node        (struct gm_stack_names)
 *   shared by all:    node = (parent node, frame)                  (struct gm_stacks)
 *                     frame = (module, address in its file, flags)
 *                     module = (path, build-id)
 *
 * A hash means something only within one process, and only until an object there is unloaded and
 * another one takes its addresses. What it is bound to does not change: nodes, frames and modules
 * are the same in all processes, and their ids are the ids of the recording file.
 *
 * While there is one process, and no object of it was unloaded or is there twice, a hash that is new means a node
 * that is new: nodes need not be found by their contents, and have no index. The first exception makes it.
 *
 * Bounded: after GM_STACK_NODES_MAX nodes, or as many names in one process, or GM_STACK_FRAMES_MAX frames, new stacks are left out and counted;
 * what they allocate belongs to the site without a stack.
 *
 * New rows go to the batch at once.
 * Stands between order (STACK and MODULE records) and the roll-up's sites.
 */
#ifndef GM_COLLECTOR_STACKS_H
#define GM_COLLECTOR_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/batch.h"
#include "collector/decode.h"
#include "collector/index.h"

/* A recorder that holds so many has some 300 MB in them. Arbitrary: a compiler on its largest input has a tenth. */
#define GM_STACK_NODES_MAX (4u << 20)
/* Code points there are, less those that are passed over: see schema.sql, stack_run. */
#define GM_STACK_FRAMES_MAX (0x10ffffu - 0x2800u)

struct gm_stack_frame {
    uint64_t address;
    uint32_t module_id;
    uint32_t flags;
};
struct gm_stack_node {
    uint32_t parent_id, frame_id;
};

struct gm_stacks {
    struct gm_batch *batch;      /* where new rows go; borrowed, changes with every commit */
    struct gm_stack_node *nodes; /* nodes[id - 1] */
    struct gm_stack_frame *frames;
    struct gm_row_module *modules;
    uint32_t node_count, frame_count, module_count;
    size_t node_room, frame_room, module_room;
    struct gm_index node_index, frame_index; /* node_index: empty until nodes_searched */
    uint32_t nodes_max;                      /* GM_STACK_NODES_MAX; less in tests */
    uint32_t sole_process; /* process whose stacks all nodes are so far; 0: none yet */
    bool nodes_searched;   /* the same node may come by another name */
    uint32_t mapping_count;
    uint64_t hash_collisions;
    uint64_t left_out; /* STACK records that named a stack for which there was no room */
};

struct gm_stack_mapping {
    uint64_t start, end, bias;
    uint32_t mapping_id, module_id;
    int64_t first_ns;
};

/* What a hash is bound to. Words of 32 bits, so that it takes 20 bytes: the table is the largest the recorder has,
 * and each look-up waits for a line of it. */
struct gm_stack_name {
    uint32_t hash_low, hash_high;
    uint32_t node; /* 0: free slot */
    uint32_t site; /* for the roll-up; 0: not looked up yet */
    uint32_t
        check; /* another hash of parent hash and pc: tells a collision from a record sent again */
};

#define GM_KNOWN_SITES 1024u /* 16 KiB: stays in the fastest cache */

/* The names and mappings of one process. */
struct gm_stack_names {
    uint32_t process_id;
    uint32_t epochs; /* MODULE_EPOCH records, and mappings that took another's place */
    struct gm_stack_name *names;
    size_t name_room, name_count;
    /* Sites of the hashes asked for last, by some bits of them; site 0: none. */
    struct gm_known_site {
        uint64_t hash;
        uint32_t site;
    } known[GM_KNOWN_SITES];
    uint64_t last_hash; /* the name told last, which is the parent of most that follow */
    uint32_t last_node; /* 0: none */
    struct gm_stack_mapping *mappings; /* by start, not overlapping */
    size_t mapping_count, mapping_room;
};

void gm_stacks_init(struct gm_stacks *stacks);
void gm_stacks_done(struct gm_stacks *stacks);
void gm_stack_names_init(struct gm_stack_names *names, uint32_t process_id);
/* Without memory for a row, the mapping's end is not told. */
void gm_stack_names_done(struct gm_stack_names *names);

/* A STACK record. 0, also where it was left out. -ENOENT: its parent is not known here (to be counted as corrupt).
 * -ENOMEM. */
int gm_stacks_name(
    struct gm_stacks *stacks, struct gm_stack_names *names, const struct gm_event *stack);
/* A MODULE record. A mapping it overlaps and that is of another file has ended. -ENOMEM. */
int gm_stacks_map(struct gm_stacks *stacks, struct gm_stack_names *names,
    const struct gm_event *module, int64_t ns);
void gm_stacks_epoch(struct gm_stack_names *names);

static inline uint32_t gm_stack_names_known_site(const struct gm_stack_names *names, uint64_t hash)
{
    const struct gm_known_site *known = &names->known[hash % GM_KNOWN_SITES];
    return known->hash == hash ? known->site : 0;
}
/* To be forgotten when the hash comes to mean another stack. */
static inline void gm_stack_names_know_site(
    struct gm_stack_names *names, uint64_t hash, uint32_t site)
{
    names->known[hash % GM_KNOWN_SITES] = (struct gm_known_site){hash, site};
}

static inline size_t gm_stack_names_slot(const struct gm_stack_names *names, uint64_t hash)
{
    /* Hashes are well mixed by the target, but a hostile one may choose them: the multiplication is for
     * their order, the linear walk stays short unless someone means to slow down his own recording. */
    return (size_t)((hash * 0x9e3779b97f4a7c15ull >> 32) * names->name_room >> 32);
}
/* Fetches into the cache what a call with this hash will look at. */
static inline void gm_stack_names_prefetch(const struct gm_stack_names *names, uint64_t hash)
{
    __builtin_prefetch(names->names + gm_stack_names_slot(names, hash), 1);
}
/* What the hash most likely stands for, at the cost of one look; NULL: nothing there. */
static inline const struct gm_stack_name *gm_stack_names_guess(
    const struct gm_stack_names *names, uint64_t hash)
{
    const struct gm_stack_name *name =
        names->name_room ? names->names + gm_stack_names_slot(names, hash) : NULL;
    return name && name->hash_low == (uint32_t)hash ? name : NULL;
}

/* NULL: unknown. Good until the next gm_stacks_name. */
struct gm_stack_name *gm_stack_names_find(const struct gm_stack_names *names, uint64_t hash);
/* Whether a mapping covers the pc. */
const struct gm_stack_mapping *gm_stack_names_mapping(
    const struct gm_stack_names *names, uint64_t pc);

#endif
