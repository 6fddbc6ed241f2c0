/* inflate.c - zlib's inflate for libelf, done by libdeflate, at three times the speed.
 *
 * Debian's debug files are compressed. libelf takes each section of them apart in one call, whichever addresses are
 * asked for: 10 MB for the C library, which was half of all CPU time that recording a short program cost. libelf
 * calls inflateInit_, inflate, inflateReset and inflateEnd by name, and the loader looks in the program first: these
 * here. A stream that was not begun by our inflateInit_ (libdwfl reads files compressed as a whole by other
 * functions) is handed on to zlib.
 *
 * Whole sections only: input and output must be there at once, as Z_FINISH says. Part of geomem-symbolize alone.
 */
#include <dlfcn.h>
#include <libdeflate.h>
#include <string.h>
#include <zlib.h>

#define EXPORT __attribute__((visibility("default")))

/* What z->state points to in a stream of ours. zlib never looks at it. */
static char ours;

static struct internal_state *state_ours(void)
{
    return (struct internal_state *)(void *)&ours;
}

static struct libdeflate_decompressor *decompressor(void)
{
    static struct libdeflate_decompressor *one;
    if (!one)
        one = libdeflate_alloc_decompressor();
    return one;
}

EXPORT int inflateInit_(z_streamp z, const char *version, int stream_bytes)
{
    if (!z || !version || version[0] != ZLIB_VERSION[0] || stream_bytes != (int)sizeof *z)
        return Z_VERSION_ERROR;
    if (!decompressor())
        return Z_MEM_ERROR;
    z->state = state_ours();
    return Z_OK;
}

static int zlib_inflate(z_streamp z, int flush)
{
    int (*real)(z_streamp, int) = NULL;
    void *found = dlsym(RTLD_NEXT, "inflate");
    memcpy(&real, &found, sizeof real);
    return real ? real(z, flush) : Z_STREAM_ERROR;
}

EXPORT int inflate(z_streamp z, int flush)
{
    size_t in = 0, out = 0;
    if (!z || z->state != state_ours())
        return zlib_inflate(z, flush);
    if (flush != Z_FINISH)
        return Z_STREAM_ERROR;
    if (libdeflate_zlib_decompress_ex(decompressor(), z->next_in, z->avail_in, z->next_out,
            z->avail_out, &in, &out) != LIBDEFLATE_SUCCESS)
        return Z_DATA_ERROR;
    z->next_in += in;
    z->avail_in -= (uInt)in;
    z->next_out += out;
    z->avail_out -= (uInt)out;
    return Z_STREAM_END;
}

static int zlib_call(const char *name, z_streamp z)
{
    int (*real)(z_streamp) = NULL;
    void *found = dlsym(RTLD_NEXT, name);
    memcpy(&real, &found, sizeof real);
    return real ? real(z) : Z_STREAM_ERROR;
}

EXPORT int inflateReset(z_streamp z)
{
    return z && z->state == state_ours() ? Z_OK : zlib_call("inflateReset", z);
}

EXPORT int inflateEnd(z_streamp z)
{
    if (!z || z->state != state_ours())
        return zlib_call("inflateEnd", z);
    z->state = NULL;
    return Z_OK;
}
