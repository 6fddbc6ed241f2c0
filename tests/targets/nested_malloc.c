/* nested_malloc.c - safe_malloc.c with a realloc that calls the public malloc, as simple allocators do: for the recorder
 * a call of the program's inside an open reallocation. Takes the other's place by LD_LIBRARY_PATH. */
#include "safe_malloc.c"

void *realloc(void *old, size_t bytes)
{
    void *block = malloc(bytes);
    if (old && block) {
        size_t old_bytes = *(size_t *)(void *)((char *)old - 16);
        memcpy(block, old, old_bytes < bytes ? old_bytes : bytes);
    }
    return block;
}
