/* stacks.c - see stacks.h. */
#include "collector/stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/wire.h"

/* ---- shared: modules, frames, nodes ---- */

/* Makes room for row number `count` + 1 of an array. */
static int rows_reserve(void **rows, size_t *room, size_t count, size_t row_bytes)
{
    if (count < *room)
        return 0;
    size_t more = *room ? *room + *room / 2 : 64;
    void *grown = reallocarray(*rows, more, row_bytes);
    if (!grown)
        return -ENOMEM;
    *rows = grown;
    *room = more;
    return 0;
}

void gm_stacks_init(struct gm_stacks *stacks)
{
    memset(stacks, 0, sizeof *stacks);
    stacks->nodes_max = GM_STACK_NODES_MAX;
}

void gm_stacks_done(struct gm_stacks *stacks)
{
    for (uint32_t i = 0; i < stacks->module_count; i++)
        free(stacks->modules[i].path);
    free(stacks->modules);
    free(stacks->frames);
    free(stacks->nodes);
    gm_index_done(&stacks->node_index);
    gm_index_done(&stacks->frame_index);
    memset(stacks, 0, sizeof *stacks);
}

static void build_id_hex(const struct gm_event *module, char hex[129])
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;
    for (uint32_t i = 0; i < module->build_id_bytes && n < 128; i++) {
        hex[n++] = digits[module->build_id[i] >> 4];
        hex[n++] = digits[module->build_id[i] & 15];
    }
    hex[n] = '\0';
}

static int stacks_add_module(
    struct gm_stacks *stacks, const char *path, const char *build_id, uint32_t *ret_module_id)
{
    int r = rows_reserve((void **)&stacks->modules, &stacks->module_room, stacks->module_count,
        sizeof *stacks->modules);
    char *kept = r < 0 ? NULL : strdup(path), *told = kept ? strdup(path) : NULL;
    struct gm_row_module *row = told ? gm_rows_add(&stacks->batch->modules) : NULL;
    if (!row) {
        free(kept);
        free(told);
        return -ENOMEM;
    }
    struct gm_row_module *module = &stacks->modules[stacks->module_count++];
    module->module_id = stacks->module_count;
    module->path = kept;
    strcpy(module->build_id, build_id);
    *row = *module;
    row->path = told;
    *ret_module_id = module->module_id;
    return 0;
}

/* Modules are few (hundreds); a walk through all of them is a rare event. */
static int stacks_module(
    struct gm_stacks *stacks, const struct gm_event *event, uint32_t *ret_module_id)
{
    char build_id[129];
    build_id_hex(event, build_id);
    char *path = strndup(event->path, event->path_bytes);
    if (!path)
        return -ENOMEM;
    int r = -ENOENT;
    for (uint32_t i = 0; i < stacks->module_count && r == -ENOENT; i++) {
        if (strcmp(stacks->modules[i].path, path) || strcmp(stacks->modules[i].build_id, build_id))
            continue;
        *ret_module_id = i + 1;
        r = 0;
    }
    if (r == -ENOENT)
        r = stacks_add_module(stacks, path, build_id, ret_module_id);
    free(path);
    return r;
}

static uint64_t frame_hash_of(const struct gm_stack_frame *f)
{
    return gm_index_mix(f->address, (uint64_t)f->module_id << 32 | f->flags);
}
static uint64_t frame_hash(const void *rows, uint32_t id)
{
    return frame_hash_of((const struct gm_stack_frame *)rows + (id - 1));
}
static bool frame_equal(const void *rows, uint32_t id, const void *key)
{
    const struct gm_stack_frame *a = (const struct gm_stack_frame *)rows + (id - 1), *b = key;
    return a->address == b->address && a->module_id == b->module_id && a->flags == b->flags;
}

/* 0 without memory, and where it is new and there are as many as there may be. */
static uint32_t stacks_frame(struct gm_stacks *stacks, const struct gm_stack_frame *key)
{
    uint64_t hash = frame_hash_of(key);
    uint32_t id = gm_index_find(&stacks->frame_index, hash, stacks->frames, key, frame_equal);
    if (id || stacks->frame_count >= stacks->nodes_max ||
        stacks->frame_count >= GM_STACK_FRAMES_MAX)
        return id;
    if (rows_reserve((void **)&stacks->frames, &stacks->frame_room, stacks->frame_count,
            sizeof *stacks->frames) < 0 ||
        gm_index_reserve(&stacks->frame_index, stacks->frames, frame_hash) < 0)
        return 0;
    struct gm_row_frame *row = gm_rows_add(&stacks->batch->frames);
    if (!row)
        return 0;
    stacks->frames[stacks->frame_count++] = *key;
    id = stacks->frame_count;
    gm_index_put(&stacks->frame_index, hash, id);
    *row = (struct gm_row_frame){
        .frame_id = id, .module_id = key->module_id, .address = key->address, .flags = key->flags};
    return id;
}

static uint64_t node_hash_of(const struct gm_stack_node *n)
{
    return gm_index_mix(n->parent_id, n->frame_id);
}
static uint64_t node_hash(const void *rows, uint32_t id)
{
    return node_hash_of((const struct gm_stack_node *)rows + (id - 1));
}
static bool node_equal(const void *rows, uint32_t id, const void *key)
{
    const struct gm_stack_node *a = (const struct gm_stack_node *)rows + (id - 1), *b = key;
    return a->parent_id == b->parent_id && a->frame_id == b->frame_id;
}

static int stacks_reserve_node(struct gm_stacks *stacks)
{
    int r = rows_reserve(
        (void **)&stacks->nodes, &stacks->node_room, stacks->node_count, sizeof *stacks->nodes);
    if (r == 0 && stacks->nodes_searched)
        r = gm_index_reserve(&stacks->node_index, stacks->nodes, node_hash);
    return r;
}

/* From now on nodes are found by their contents. */
static int stacks_search_nodes(struct gm_stacks *stacks)
{
    for (uint32_t id = (uint32_t)stacks->node_index.n + 1; id <= stacks->node_count; id++) {
        if (gm_index_reserve(&stacks->node_index, stacks->nodes, node_hash) < 0)
            return -ENOMEM;
        gm_index_put(&stacks->node_index, node_hash(stacks->nodes, id), id);
    }
    stacks->nodes_searched = true;
    return 0;
}

static int stacks_meet(struct gm_stacks *stacks, const struct gm_stack_names *names)
{
    if (stacks->nodes_searched)
        return 0;
    if (!stacks->sole_process)
        stacks->sole_process = names->process_id;
    return stacks->sole_process == names->process_id && names->epochs == 0
               ? 0
               : stacks_search_nodes(stacks);
}

static int stacks_add_node(
    struct gm_stacks *stacks, const struct gm_stack_node *key, uint32_t *ret_node)
{
    if (stacks->node_count >= stacks->nodes_max)
        return -ENOSPC;
    struct gm_row_stack *row =
        stacks_reserve_node(stacks) == 0 ? gm_rows_add(&stacks->batch->stacks) : NULL;
    if (!row)
        return -ENOMEM;
    stacks->nodes[stacks->node_count] = *key;
    uint32_t id = ++stacks->node_count;
    if (stacks->nodes_searched)
        gm_index_put(&stacks->node_index, node_hash_of(key), id);
    *row = (struct gm_row_stack){
        .stack_id = id, .parent_id = key->parent_id, .frame_id = key->frame_id};
    *ret_node = id;
    return 0;
}

/* -ENOSPC: it is new and there are as many as there may be. -ENOMEM. */
static int stacks_node(
    struct gm_stacks *stacks, const struct gm_stack_node *key, uint32_t *ret_node)
{
    uint32_t id = 0;
    if (stacks->nodes_searched)
        id = gm_index_find(&stacks->node_index, node_hash_of(key), stacks->nodes, key, node_equal);
    if (!id)
        return stacks_add_node(stacks, key, ret_node);
    *ret_node = id;
    return 0;
}

/* ---- per process: mappings ---- */

void gm_stack_names_init(struct gm_stack_names *names, uint32_t process_id)
{
    *names = (struct gm_stack_names){.process_id = process_id};
}

void gm_stack_names_done(struct gm_stack_names *names)
{
    free(names->names);
    free(names->mappings);
    *names = (struct gm_stack_names){.process_id = names->process_id};
}

/* Index of the first mapping that ends above the address. */
static size_t mapping_above(const struct gm_stack_names *names, uint64_t address)
{
    size_t low = 0, high = names->mapping_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (names->mappings[mid].end > address)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

const struct gm_stack_mapping *gm_stack_names_mapping(
    const struct gm_stack_names *names, uint64_t pc)
{
    size_t i = mapping_above(names, pc);
    return i < names->mapping_count && names->mappings[i].start <= pc ? &names->mappings[i] : NULL;
}

static int mapping_tell(struct gm_stacks *stacks, const struct gm_stack_names *names,
    const struct gm_stack_mapping *m, int64_t last_ns)
{
    struct gm_row_mapping *row = gm_rows_add(&stacks->batch->mappings);
    if (!row)
        return -ENOMEM;
    *row = (struct gm_row_mapping){.mapping_id = m->mapping_id,
        .process_id = names->process_id,
        .module_id = m->module_id,
        .start = m->start,
        .end = m->end,
        .bias = m->bias,
        .first_ns = m->first_ns,
        .last_ns = last_ns};
    return 0;
}

/* Ends what lies in the way of [start, end). */
static int mappings_clear(struct gm_stacks *stacks, struct gm_stack_names *names, uint64_t start,
    uint64_t end, int64_t ns)
{
    size_t first = mapping_above(names, start), after = first;
    for (; after < names->mapping_count && names->mappings[after].start < end; after++) {
        int r = mapping_tell(stacks, names, &names->mappings[after], ns);
        if (r < 0)
            return r;
    }
    if (after == first)
        return 0;
    memmove(&names->mappings[first], &names->mappings[after],
        (names->mapping_count - after) * sizeof *names->mappings);
    names->mapping_count -= after - first;
    names->epochs++;
    return 0;
}

/* A file that is mapped twice gives one frame two addresses. */
static bool mappings_hold_elsewhere(
    const struct gm_stack_names *names, uint32_t module_id, uint64_t bias)
{
    for (size_t i = 0; i < names->mapping_count; i++)
        if (names->mappings[i].module_id == module_id && names->mappings[i].bias != bias)
            return true;
    return false;
}

int gm_stacks_map(struct gm_stacks *stacks, struct gm_stack_names *names,
    const struct gm_event *module, int64_t ns)
{
    uint32_t module_id = 0;
    int r = stacks_module(stacks, module, &module_id);
    if (r < 0)
        return r;
    const struct gm_stack_mapping *same = gm_stack_names_mapping(names, module->start);
    if (same && same->start == module->start && same->end == module->end &&
        same->bias == module->bias && same->module_id == module_id)
        return 0;
    r = rows_reserve((void **)&names->mappings, &names->mapping_room, names->mapping_count,
        sizeof *names->mappings);
    if (r == 0)
        r = mappings_clear(stacks, names, module->start, module->end, ns);
    if (r == 0 && !stacks->nodes_searched &&
        mappings_hold_elsewhere(names, module_id, module->bias))
        r = stacks_search_nodes(stacks);
    if (r < 0)
        return r;
    struct gm_stack_mapping m = {.start = module->start,
        .end = module->end,
        .bias = module->bias,
        .mapping_id = ++stacks->mapping_count,
        .module_id = module_id,
        .first_ns = ns};
    size_t at = mapping_above(names, m.start);
    memmove(&names->mappings[at + 1], &names->mappings[at],
        (names->mapping_count - at) * sizeof *names->mappings);
    names->mappings[at] = m;
    names->mapping_count++;
    return mapping_tell(stacks, names, &m, -1);
}

void gm_stacks_epoch(struct gm_stack_names *names)
{
    names->epochs++;
}

/* ---- per process: names ---- */

static bool name_is(const struct gm_stack_name *name, uint64_t hash)
{
    return name->hash_low == (uint32_t)hash && name->hash_high == (uint32_t)(hash >> 32);
}

static uint64_t name_hash(const struct gm_stack_name *name)
{
    return (uint64_t)name->hash_high << 32 | name->hash_low;
}

/* Slot of the hash, or the free one where it belongs. Only with room. */
static size_t name_search(const struct gm_stack_names *names, uint64_t hash)
{
    size_t i = gm_stack_names_slot(names, hash);
    while (names->names[i].node && !name_is(&names->names[i], hash))
        i = i + 1 < names->name_room ? i + 1 : 0;
    return i;
}

struct gm_stack_name *gm_stack_names_find(const struct gm_stack_names *names, uint64_t hash)
{
    if (!names->name_room)
        return NULL;
    struct gm_stack_name *name = &names->names[name_search(names, hash)];
    return name->node ? name : NULL;
}

static int names_grow(struct gm_stack_names *names)
{
    struct gm_stack_names grown = *names;
    grown.name_room = names->name_room ? names->name_room + names->name_room / 2 : 64;
    grown.names = calloc(grown.name_room, sizeof *grown.names);
    if (!grown.names)
        return -ENOMEM;
    for (size_t i = 0; i < names->name_room; i++)
        if (names->names[i].node)
            grown.names[name_search(&grown, name_hash(&names->names[i]))] = names->names[i];
    free(names->names);
    *names = grown;
    return 0;
}

static int names_reserve(struct gm_stack_names *names)
{
    bool room = names->name_room && names->name_count < names->name_room - names->name_room / 4;
    return room ? 0 : names_grow(names);
}

/* Unlike the name itself, this tells (a, b) from (c, d) where the names are equal. */
static uint32_t name_check(const struct gm_event *stack)
{
    return (uint32_t)(gm_index_mix(stack->parent_hash, stack->pc_word) >> 32);
}

/* The frame a pc means in this process now. */
static void names_resolve(
    const struct gm_stack_names *names, uint64_t pc_word, struct gm_stack_frame *ret_frame)
{
    uint64_t pc = pc_word & GM_PC_MASK;
    uint32_t flags = (uint32_t)(pc_word >> GM_PC_BITS);
    *ret_frame = (struct gm_stack_frame){.address = pc, .flags = flags};
    if (pc == 0)
        return;
    /* A return address may be the first byte after its module, when the call never returns. */
    const struct gm_stack_mapping *m =
        gm_stack_names_mapping(names, flags & GM_PC_EXACT ? pc : pc - 1);
    if (!m)
        return;
    ret_frame->address = pc - m->bias;
    ret_frame->module_id = m->module_id;
}

static uint32_t names_parent(const struct gm_stack_names *names, uint64_t hash)
{
    if (names->last_node && names->last_hash == hash)
        return names->last_node;
    const struct gm_stack_name *parent = gm_stack_names_find(names, hash);
    return parent ? parent->node : 0;
}

static void names_note_last(struct gm_stack_names *names, uint64_t hash, uint32_t node)
{
    names->last_hash = hash;
    names->last_node = node;
}

/* The node a record means, made where it is new. */
static int names_node(struct gm_stacks *stacks, const struct gm_stack_names *names,
    const struct gm_event *stack, uint32_t *ret_node)
{
    struct gm_stack_node key = {0};
    if (stack->parent_hash != GM_STACK_ROOT) {
        key.parent_id = names_parent(names, stack->parent_hash);
        if (!key.parent_id)
            return stacks->left_out ? -ENOSPC : -ENOENT; /* it may be one of those */
    }
    struct gm_stack_frame frame;
    names_resolve(names, stack->pc_word, &frame);
    key.frame_id = stacks_frame(stacks, &frame);
    if (!key.frame_id)
        return stacks->frame_count >= stacks->nodes_max ? -ENOSPC : -ENOMEM;
    return stacks_node(stacks, &key, ret_node);
}

/* The slot is that of the hash: free, or bound to what it meant before. */
static int names_bind(struct gm_stacks *stacks, struct gm_stack_names *names,
    const struct gm_event *stack, struct gm_stack_name *slot)
{
    uint32_t node = 0, check = name_check(stack);
    if (!slot->node && names->name_count >= stacks->nodes_max)
        return -ENOSPC;
    /* Two stacks with one hash: the second may be a node that is there already. */
    if (slot->node && !stacks->nodes_searched && stacks_search_nodes(stacks) < 0)
        return -ENOMEM;
    int r = names_node(stacks, names, stack, &node);
    if (r < 0)
        return r;
    names_note_last(names, stack->hash, node);
    if (!slot->node)
        names->name_count++;
    else if (slot->check != check)
        stacks->hash_collisions++;
    else if (slot->node == node)
        return 0;
    gm_stack_names_know_site(names, stack->hash, 0);
    *slot = (struct gm_stack_name){.hash_low = (uint32_t)stack->hash,
        .hash_high = (uint32_t)(stack->hash >> 32),
        .node = node,
        .check = check};
    return 0;
}

int gm_stacks_name(
    struct gm_stacks *stacks, struct gm_stack_names *names, const struct gm_event *stack)
{
    int r = stacks_meet(stacks, names);
    if (r == 0)
        r = names_reserve(names);
    if (r < 0)
        return r;
    struct gm_stack_name *slot = &names->names[name_search(names, stack->hash)];
    /* Sent again because another thread, or a small cache, did not know: the common case. */
    if (slot->node && names->epochs == 0 && slot->check == name_check(stack)) {
        names_note_last(names, stack->hash, slot->node);
        return 0;
    }
    r = names_bind(stacks, names, stack, slot);
    if (r != -ENOSPC)
        return r;
    stacks->left_out++;
    return 0;
}
