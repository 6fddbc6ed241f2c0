/* test_sqlite_pages.c - what a page cache of SQLite holds, against a plain list of it. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libgeomem/adapters/sqlite/pages.h"

#define NUMBERS 400u

struct model {
    uint32_t slot[NUMBERS]; /* 0: not there */
    uint32_t idle[NUMBERS]; /* numbers, oldest first */
    size_t idle_count, count;
};

static void model_take(struct model *m, uint32_t number)
{
    for (size_t i = 0; i < m->idle_count; i++) {
        if (m->idle[i] != number)
            continue;
        memmove(&m->idle[i], &m->idle[i + 1], (m->idle_count - i - 1) * sizeof *m->idle);
        m->idle_count--;
        return;
    }
}

static bool model_is_idle(const struct model *m, uint32_t number)
{
    for (size_t i = 0; i < m->idle_count; i++)
        if (m->idle[i] == number)
            return true;
    return false;
}

static void model_compare(const struct model *m, const struct gm_pages *pages)
{
    size_t i = 0;
    cr_assert_eq(pages->count, m->count);
    for (uint32_t slot = pages->oldest; slot; slot = pages->slots[slot].newer, i++) {
        cr_assert_lt(i, m->idle_count);
        cr_assert_eq(pages->slots[slot].number, m->idle[i]);
    }
    cr_assert_eq(i, m->idle_count);
    for (uint32_t number = 1; number < NUMBERS; number++)
        cr_assert_eq(gm_pages_find(pages, number), m->slot[number]);
}

static void step_there(struct model *m, struct gm_pages *pages, uint32_t number, uint32_t other)
{
    uint32_t slot = m->slot[number];
    switch (rand() % 4) {
    case 0:
        gm_pages_remove(pages, slot);
        model_take(m, number);
        m->slot[number] = 0;
        m->count--;
        break;
    case 1:
        gm_pages_take(pages, slot);
        model_take(m, number);
        break;
    case 2:
        if (!model_is_idle(m, number))
            m->idle[m->idle_count++] = number;
        gm_pages_let_go(pages, slot);
        break;
    case 3: /* SQLite renumbers pages in use only */
        if (m->slot[other] || model_is_idle(m, number))
            break;
        gm_pages_renumber(pages, slot, other);
        m->slot[other] = slot;
        m->slot[number] = 0;
        break;
    }
}

Test(sqlite_pages, the_order_and_the_set_are_those_of_a_plain_list)
{
    unsigned seed = (unsigned)time(NULL);
    struct gm_pages pages = {0};
    struct model *m = calloc(1, sizeof *m);
    cr_log_info("seed %u", seed);
    srand(seed);
    for (int step = 0; step < 20000; step++) {
        uint32_t number = 1 + (uint32_t)rand() % (NUMBERS - 1);
        if (m->slot[number]) {
            step_there(m, &pages, number, 1 + (uint32_t)rand() % (NUMBERS - 1));
        } else {
            m->slot[number] = gm_pages_add(&pages, number);
            cr_assert_neq(m->slot[number], 0, "seed %u", seed);
            m->count++;
        }
        if (step % 100 == 0)
            model_compare(m, &pages);
    }
    model_compare(m, &pages);
    gm_pages_done(&pages);
    free(m);
}
