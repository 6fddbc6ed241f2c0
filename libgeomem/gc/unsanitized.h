/* unsanitized.h - for functions that read the program's memory as it is.
 *
 * A conservative collector reads whole stacks, and blocks that a thread may be writing to: sanitizers would call it an
 * error, rightly for any other code. */
#ifndef GM_GC_UNSANITIZED_H
#define GM_GC_UNSANITIZED_H

#define GM_UNSANITIZED __attribute__((no_sanitize("address"), no_sanitize("thread")))

#endif
