/* heap_faults.c FAULT - one planted mistake in a block of libgeomem, for the tests of its checkers: overflow, overflow_collected,
 * after_free, after_free_collected, write_after_free, undefined, double_free; or none: blocks of all kinds, collections,
 * threads, and nothing wrong. The line of each mistake carries its name in a comment. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "geomem/geomem.h"

static volatile char sink;

static __attribute__((noinline)) void touch(volatile char *place)
{
    *place = 1; /* fault: write */
}

static __attribute__((noinline)) void look(volatile const char *place)
{
    sink = *place; /* fault: read */
}

static __attribute__((noinline)) void decide(const volatile char *place)
{
    if (*place == 7) /* fault: undefined */
        sink = 1;
}

struct node {
    struct node *next;
    char text[40];
};

static void *work(void *arg)
{
    struct node *list = NULL;
    for (int i = 0; i < 3000; i++) {
        struct node *node = geomem_gc_alloc(sizeof *node);
        if (node->next != NULL || node->text[39] != 0)
            abort();
        node->next = i % 1000 == 0 ? NULL : list;
        snprintf(node->text, sizeof node->text, "node %d", i);
        list = node;
        char *leaf = geomem_gc_alloc_leaf((size_t)i % 500 + 1);
        leaf[0] = leaf[i % 500] = 1;
        char *block = geomem_alloc((size_t)i % 3000 + 1);
        memset(block, 1, (size_t)i % 3000 + 1);
        block = geomem_realloc(block, 5000);
        block[4999] = 1;
        geomem_free(block);
        if (i % 7 == 0)
            geomem_free(leaf);
    }
    for (; list != NULL; list = list->next)
        sink = list->text[0];
    return arg;
}

static void nothing_wrong(void)
{
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, work, NULL);
    work(NULL);
    void **root = geomem_alloc_root(100 * sizeof *root);
    for (int i = 0; i < 100; i++)
        root[i] = geomem_gc_alloc(100000);
    geomem_gc(NULL, GEOMEM_YOUNG);
    geomem_gc(NULL, GEOMEM_OLD);
    char *zeroed = geomem_calloc(3, 100), *aligned = geomem_aligned(4096, 10000);
    sink = zeroed[299];
    aligned[9999] = 1;
    geomem_free(aligned);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    geomem_free(zeroed);
    geomem_free(root);
    if (geomem_heap_check(NULL, 3, stderr) != 0)
        exit(1);
}

int main(int argc, char **argv)
{
    const char *fault = argc > 1 ? argv[1] : "none";
    char *block = geomem_alloc(41), *other = geomem_alloc(41);
    memset(other, 1, 41);
    if (strcmp(fault, "overflow") == 0)
        touch(block + 41);
    else if (strcmp(fault, "overflow_collected") == 0)
        touch((char *)geomem_gc_alloc(100) + 100);
    else if (strcmp(fault, "after_free") == 0)
        geomem_free(block), look(block);
    else if (strcmp(fault, "after_free_collected") == 0)
        block = geomem_gc_alloc(41), geomem_free(block), look(block);
    else if (strcmp(fault, "write_after_free") == 0)
        geomem_free(block), touch(block + 5);
    else if (strcmp(fault, "undefined") == 0)
        decide(block);
    else if (strcmp(fault, "double_free") == 0)
        geomem_free(block), geomem_free(block);
    else
        nothing_wrong();
    /* Enough for any quarantine. */
    for (int i = 0; i < 10000; i++)
        geomem_free(geomem_alloc(30));
    puts("done");
    return 0;
}
