/* sandbox.c - prctl, for the two requests after which a program may not read the processor's clock.
 *
 * Strict seccomp and PR_TSC_SIGSEGV turn rdtsc into a fault. What is recorded needs a stamp, and strict mode
 * allows no call that could give another; so recording of the image ends, with a mark that says why. Filters
 * are another matter: nothing after the start needs a call that a filter would refuse to an allocator.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/prctl.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/event/event.h"
#include "libgeomem/event/process.h"
#include "libgeomem/preload/real.h"

static void recording_end(const char *why)
{
    gm_event_mark(why);
    gm_process_stop();
}

/* Takes four more arguments whatever it was given, as glibc's own does. */
GM_EXPORT int prctl(int option, ...)
{
    unsigned long a[4];
    va_list ap;
    va_start(ap, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(ap, unsigned long);
    va_end(ap);
    if (option == PR_SET_SECCOMP && a[0] == SECCOMP_MODE_STRICT)
        recording_end("strict seccomp: recorded up to here");
    if (option == PR_SET_TSC && a[0] == PR_TSC_SIGSEGV)
        recording_end("time stamp counter disabled: recorded up to here");
    long r = gm_sys6(SYS_prctl, option, (long)a[0], (long)a[1], (long)a[2], (long)a[3], 0);
    if (r >= 0)
        return (int)r;
    errno = (int)-r;
    return -1;
}
