/* dirty_mprotect.c - GM_DIRTY_MPROTECT: watched pages may not be written to, and the fault of the first write is caught.
 *
 * A fault opens not one page but a window of 64 KB: a fault costs as much as looking through several pages, and each
 * opened window splits a mapping, of which a process may have 65,530. When the kernel has no more, larger windows are
 * opened, which joins mappings again, up to all that is watched.
 *
 * Order, so that no write is lost: a bit in `written` is set, and the page opened, under one lock; the collector clears the
 * bit and closes the page under the same. It is held with all signals blocked: that of a collection, so that the world is
 * never stopped between the two, and those of the program, whose handlers may write to a watched page. A fork in between is harmless: in the child everything counts as written.
 *
 * What it cannot do: a system call that writes into a watched page fails with EFAULT, since no signal is raised in the kernel.
 * gm_dirty_open_for_kernel opens pages beforehand, for wrappers of such calls (interpose_waits.c, interpose_reads.c).
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/gc/dirty_internal.h"
#include "libgeomem/gc/dirty_signal.h"

/* measured, bench/dirty: the cost of a fault equals that of scanning 12 pages */
#define MPROTECT_WINDOW_PAGES ((size_t)16)
/* x86: error code of a page fault, pushed by the processor */
#define MPROTECT_ERR_WRITE 2

static _Atomic uint32_t mprotect_lock_word;
/* All that are open. Changed under the lock. */
static struct gm_dirty *mprotect_all;
static _Atomic bool mprotect_active;

/* The fault handler may come while another thread holds it, but never while its own thread does: holders write to
 * no watched page, and no signal reaches them, whose handler might. Held for few system calls. */
static void mprotect_spin(void)
{
    /* acquire: pairs with the release of mprotect_release */
    while (atomic_exchange_explicit(&mprotect_lock_word, 1, memory_order_acquire) != 0)
        gm_sys0(SYS_sched_yield);
}

static void mprotect_release(void)
{
    atomic_store_explicit(&mprotect_lock_word, 0, memory_order_release);
}

/* Returns the signals that were blocked before, for mprotect_unlock. */
static uint64_t mprotect_lock(void)
{
    uint64_t all = ~(uint64_t)0, before = 0;
    gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof before);
    mprotect_spin();
    return before;
}

static void mprotect_unlock(uint64_t before)
{
    mprotect_release();
    gm_sys4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
}

static int mprotect_pages(struct gm_dirty *dirty, size_t from, size_t to, int protection)
{
    return (int)gm_sys3(
        SYS_mprotect, gm_dirty_address(dirty, from), (to - from) << GM_PAGE_LOG2, protection);
}

/* The widest run of watched pages around `page` within the window of `window` pages that it lies in. */
static void window_around(
    const struct gm_dirty *dirty, size_t page, size_t window, size_t *ret_from, size_t *ret_to)
{
    size_t low = page - page % window, high = low + window, from = page, to = page + 1;
    if (high > dirty->pages)
        high = dirty->pages;
    while (from > low && gm_dirty_bit(dirty->watched, from - 1))
        from--;
    while (to < high && gm_dirty_bit(dirty->watched, to))
        to++;
    *ret_from = from;
    *ret_to = to;
}

/* Opens the window around a watched page. The lock is held. */
static bool window_open(struct gm_dirty *dirty, size_t page)
{
    for (size_t window = MPROTECT_WINDOW_PAGES;; window *= 16) {
        size_t from, to;
        window_around(dirty, page, window, &from, &to);
        if (mprotect_pages(dirty, from, to, PROT_READ | PROT_WRITE) == 0) {
            gm_dirty_bits_set(dirty->written, from, to);
            return true;
        }
        if (window >= dirty->pages)
            return false;
    }
}

/* The open range that an address lies in, or NULL. The lock is held. */
static struct gm_dirty *mprotect_find(uintptr_t address)
{
    for (struct gm_dirty *dirty = mprotect_all; dirty != NULL; dirty = dirty->next)
        if ((address - dirty->start) >> GM_PAGE_LOG2 < dirty->pages &&
            gm_dirty_bit(dirty->watched, (address - dirty->start) >> GM_PAGE_LOG2))
            return dirty;
    return NULL;
}

/* Can the word be written to, now? By a system call that writes what is there. */
static bool mprotect_is_writable(uintptr_t address)
{
    uint32_t word = 0;
    return gm_sys6(SYS_futex, (long)&word, FUTEX_WAKE_OP_PRIVATE, 0, 0,
               (long)(address & ~(uintptr_t)3), FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0)) >= 0;
}

bool gm_dirty_fault(const siginfo_t *info, const void *context)
{
    const ucontext_t *registers = context;
    uintptr_t address = (uintptr_t)info->si_addr;
    if (info->si_code != SEGV_ACCERR ||
        !(registers->uc_mcontext.gregs[REG_ERR] & MPROTECT_ERR_WRITE))
        return false;
    mprotect_spin(); /* all signals are blocked */
    struct gm_dirty *dirty = mprotect_find(address);
    bool opened = dirty != NULL && window_open(dirty, (address - dirty->start) >> GM_PAGE_LOG2);
    mprotect_release();
    /* watched no longer since the write was tried: it will succeed now */
    return opened || (dirty == NULL && mprotect_is_writable(address));
}

/* Opens the closed pages of [first, last]. The lock is held. */
static bool range_open(struct gm_dirty *dirty, uintptr_t first, uintptr_t last)
{
    uintptr_t end = gm_dirty_address(dirty, dirty->high);
    uintptr_t low = gm_dirty_address(dirty, dirty->low);
    bool opened = false;
    if (last < low || first >= end)
        return false;
    size_t from = ((first > low ? first : low) - dirty->start) >> GM_PAGE_LOG2;
    size_t to = ((last < end ? last : end - 1) - dirty->start) >> GM_PAGE_LOG2;
    for (size_t page = from; page <= to; page++)
        if (gm_dirty_bit(dirty->watched, page) && !gm_dirty_bit(dirty->written, page))
            opened |= window_open(dirty, page);
    return opened;
}

bool gm_dirty_opens_for_kernel(void)
{
    /* relaxed: who asks the kernel to write into a block has been told of the heap long before */
    return atomic_load_explicit(&mprotect_active, memory_order_relaxed);
}

bool gm_dirty_open_for_kernel(uintptr_t start, size_t bytes)
{
    uintptr_t first = start, last = first + bytes - 1;
    if (bytes == 0 || last < first || !gm_dirty_opens_for_kernel())
        return false;
    bool opened = false;
    uint64_t before = mprotect_lock();
    for (struct gm_dirty *dirty = mprotect_all; dirty != NULL; dirty = dirty->next)
        opened |= range_open(dirty, first, last);
    mprotect_unlock(before);
    return opened;
}

static int way_open(struct gm_dirty *dirty)
{
    int err = gm_dirty_signal_install();
    if (err < 0)
        return err;
    uint64_t before = mprotect_lock();
    dirty->next = mprotect_all;
    mprotect_all = dirty;
    atomic_store_explicit(&mprotect_active, true, memory_order_relaxed);
    mprotect_unlock(before);
    return 0;
}

static void way_close(struct gm_dirty *dirty)
{
    uint64_t before = mprotect_lock();
    struct gm_dirty **at = &mprotect_all;
    while (*at != dirty)
        at = &(*at)->next;
    *at = dirty->next;
    atomic_store_explicit(&mprotect_active, mprotect_all != NULL, memory_order_relaxed);
    mprotect_unlock(before);
}

static int way_arm(struct gm_dirty *dirty, size_t from, size_t to)
{
    int err = gm_dirty_signal_install();
    if (err < 0)
        return err;
    uint64_t before = mprotect_lock();
    err = mprotect_pages(dirty, from, to, PROT_READ);
    mprotect_unlock(before);
    return err;
}

/* Opens watched pages [from, to). A mapping cannot be split when there are too many: then more is opened, and counts as
 * written. The lock is held. */
static void pages_open(struct gm_dirty *dirty, size_t from, size_t to)
{
    if (mprotect_pages(dirty, from, to, PROT_READ | PROT_WRITE) < 0)
        for (size_t page = from; page < to; page++)
            window_open(dirty, page);
}

static void way_disarm(struct gm_dirty *dirty, size_t from, size_t to)
{
    uint64_t before = mprotect_lock();
    pages_open(dirty, from, to);
    mprotect_unlock(before);
}

static int way_take(
    struct gm_dirty *dirty, size_t from, size_t to, bool rearm, struct gm_dirty_runs *runs)
{
    /* The program may have put a handler of its own in by a system call that we did not see. */
    gm_dirty_signal_install();
    for (size_t a, b = from;
         gm_dirty_bits_run(dirty->watched, dirty->written, true, b, to, &a, &b);) {
        if (rearm) {
            uint64_t before = mprotect_lock();
            gm_dirty_bits_clear(dirty->written, a, b);
            if (mprotect_pages(dirty, a, b, PROT_READ) < 0)
                gm_dirty_bits_set(dirty->written, a, b);
            mprotect_unlock(before);
        }
        gm_dirty_runs_add(runs, gm_dirty_address(dirty, a), gm_dirty_address(dirty, b));
    }
    return 0;
}

/* What counts as written has to be open, or range_open would leave it closed to the kernel. */
static int way_after_fork(struct gm_dirty *dirty)
{
    /* another thread of the parent may have held it */
    mprotect_release();
    uint64_t before = mprotect_lock();
    for (size_t from, to = dirty->low;
         gm_dirty_bits_run(dirty->watched, NULL, false, to, dirty->high, &from, &to);)
        pages_open(dirty, from, to);
    mprotect_unlock(before);
    return 0;
}

const struct gm_dirty_way gm_dirty_way_mprotect = {
    GM_DIRTY_MPROTECT, way_open, way_close, way_arm, way_disarm, way_take, way_after_fork};
