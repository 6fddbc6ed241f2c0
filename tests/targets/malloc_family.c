/* malloc_family.c - every function of the malloc family once, each with a size of its own, each block kept;
 * then every way to free. What is live at the end is in the table of tests/e2e/test_known_answers.py. */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>

#include "target.h"

static void *kept[32];
static int kept_count;

static NOINLINE void keep(void *block)
{
    REQUIRE(block);
    kept[kept_count++] = block;
}

static NOINLINE void family_allocate(void)
{
    keep(malloc(1001));                    /* FN malloc */
    keep(calloc(7, 143));                  /* FN calloc */
    keep(realloc(malloc(1), 1003));        /* FN realloc */
    keep(realloc(NULL, 1004));             /* FN realloc_null */
    keep(reallocarray(malloc(2), 5, 201)); /* FN reallocarray */
    keep(memalign(64, 1006));              /* FN memalign */
    keep(aligned_alloc(128, 1024));        /* FN aligned_alloc */
    void *block = NULL;
    REQUIRE(posix_memalign(&block, 256, 1007) == 0); /* FN posix_memalign */
    keep(block);
    keep(valloc(1008));           /* FN valloc */
    keep(pvalloc(1009));          /* FN pvalloc */
    keep(strdup("twelve bytes")); /* FN strdup */
    for (int i = 0; i < kept_count; i++)
        REQUIRE(malloc_usable_size(kept[i]) >= 13);
    REQUIRE(malloc_usable_size(NULL) == 0);
}

static NOINLINE void family_free(void)
{
    free(NULL);
    free(malloc(11));
    REQUIRE(realloc(malloc(12), 0) == NULL);
    /* C23; glibc has them from 2.41 on. A recorder that defines them must forward them. */
    void (*free_sized)(void *, size_t) =
        (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    void (*free_aligned_sized)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
    void *one = malloc(13), *two = aligned_alloc(64, 128);
    if (free_sized)
        free_sized(one, 13);
    else
        free(one);
    if (free_aligned_sized)
        free_aligned_sized(two, 64, 128);
    else
        free(two);
}

static NOINLINE void family_fail(void)
{
    size_t huge = (size_t)1 << 62;
    void *block = malloc(14), *untouched = &huge;
    errno = 0;
    REQUIRE(malloc(huge) == NULL && errno == ENOMEM);
    errno = 0;
    REQUIRE(calloc(huge, 8) == NULL && errno == ENOMEM);
    errno = 0;
    REQUIRE(realloc(block, huge) == NULL && errno == ENOMEM);
    errno = 0;
    REQUIRE(reallocarray(block, huge, 8) == NULL && errno == ENOMEM);
    REQUIRE(posix_memalign(&untouched, 64, huge) == ENOMEM && untouched == &huge);
    REQUIRE(posix_memalign(&untouched, 3, 8) == EINVAL && untouched == &huge);
    errno = 0;
    REQUIRE(memalign(64, huge) == NULL && errno == ENOMEM);
    free(block);
}

static NOINLINE void family_keep_errno(void)
{
    errno = 4711;
    void *block = malloc(15);
    block = realloc(block, 30000);
    free(block);
    free(calloc(1, 300000));
    free(aligned_alloc(4096, 8192));
    REQUIRE(errno == 4711);
}

int main(void)
{
    family_allocate();
    family_free();
    family_fail();
    family_keep_errno();
    return 0;
}
