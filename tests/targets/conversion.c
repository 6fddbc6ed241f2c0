/* conversion.c - a character set conversion as libc's iconv loads it (gconv.h), built thrice with frames of different
 * sizes. Makes 4 allocations of 100 bytes when it is opened, and converts nothing. */
#include <gconv.h>

#include "target.h"

int gconv(struct __gconv_step *step, struct __gconv_step_data *data, const unsigned char **in,
    const unsigned char *in_end, unsigned char **out, size_t *irreversible, int flush, int consume);
int gconv_init(struct __gconv_step *step);

static NOINLINE void WORKER(void)
{
    volatile char frame[FRAME_BYTES];
    frame[0] = 1;
    for (int i = 0; i < 4; i++)
        free(malloc(99 + (size_t)frame[0]));
}

int gconv_init(struct __gconv_step *step)
{
    WORKER();
    step->__min_needed_from = step->__max_needed_from = 4;
    step->__min_needed_to = step->__max_needed_to = 1;
    step->__stateful = 0;
    return __GCONV_OK;
}

int gconv(struct __gconv_step *step, struct __gconv_step_data *data, const unsigned char **in,
    const unsigned char *in_end, unsigned char **out, size_t *irreversible, int flush, int consume)
{
    (void)step, (void)data, (void)out, (void)irreversible, (void)flush, (void)consume;
    *in = in_end;
    return __GCONV_EMPTY_INPUT;
}
