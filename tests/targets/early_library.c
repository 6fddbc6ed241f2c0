/* early_library.c - a library whose constructor and destructor allocate; see early_late.c. */
#include "target.h"

static void *kept[2];

__attribute__((constructor)) static void library_begin(void)
{
    kept[0] = malloc(5002);
}
__attribute__((destructor)) static void library_end(void)
{
    kept[1] = malloc(5009);
}

int early_library_used(void);
int early_library_used(void)
{
    return kept[0] != NULL;
}
