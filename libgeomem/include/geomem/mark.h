/* geomem/mark.h - names a moment in a recording, from inside the program.
 *
 * Needs no library: the function comes with the recorder's preload library, and is NULL in a program that is
 * not being recorded:
 *
 *     if (geomem_mark)
 *         geomem_mark("configuration reloaded");
 */
#ifndef GEOMEM_MARK_H
#define GEOMEM_MARK_H

#ifdef __cplusplus
extern "C" {
#endif

/* Records `text` (UTF-8, the first 1,000 bytes of it) with the time of the call. The text is copied.
 * Returns 0; -EINVAL when text is NULL; -ENOTCONN when nothing is being recorded. Thread-safe,
 * async-signal-safe, does not allocate; waits for the recorder, within a bound, when the ring is full. */
__attribute__((weak)) int geomem_mark(const char *text);

#ifdef __cplusplus
}
#endif
#endif
