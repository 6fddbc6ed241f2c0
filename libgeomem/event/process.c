/* process.c - see process.h. */
#include "libgeomem/event/process.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "libgeomem/base/sys.h"
#include "libgeomem/event/sample.h"
#include "libgeomem/event/thread.h"
#include "libgeomem/unwind/unwind.h"

union gm_process_page gm_process_page __attribute__((aligned(4096)));
struct gm_image gm_image;

#define HANDSHAKE_SECONDS \
    5 /* longest wait for a recorder that has accepted but does not answer; arbitrary */

#define TICKS_PER_MS_GUESS 2000000 /* 2 GHz; arbitrary */

/* ---- where the recorder is --------------------------------------------------------------------------- */

void gm_process_read_environment(const char *block, uint64_t bytes)
{
    static const char name[] = GM_ENV_SESSION "=";
    uint64_t name_bytes = sizeof name - 1;
    while (bytes > name_bytes) {
        uint64_t length = strnlen(block, bytes);
        uint64_t value_bytes = length - name_bytes;
        if (length > name_bytes && memcmp(block, name, name_bytes) == 0 &&
            value_bytes < sizeof gm_image.socket_path) {
            memcpy(gm_image.socket_path, block + name_bytes, value_bytes);
            gm_image.socket_path[value_bytes] = 0;
            return;
        }
        if (length + 1 >= bytes)
            return;
        block += length + 1;
        bytes -= length + 1;
    }
}

/* For an event before our constructor has seen the environment. */
static void environment_from_proc(void)
{
    long fd = gm_sys4(SYS_openat, AT_FDCWD, "/proc/self/environ", O_RDONLY | O_CLOEXEC, 0);
    uint64_t room = 1u << 20, used = 0;
    char *block = fd < 0 ? NULL : gm_sys_map(room);
    while (block && used < room) {
        long n = gm_sys3(SYS_read, fd, block + used, room - used);
        if (n <= 0)
            break;
        used += (uint64_t)n;
    }
    if (block) {
        gm_process_read_environment(block, used);
        gm_sys2(SYS_munmap, block, room);
    }
    if (fd >= 0)
        gm_sys1(SYS_close, fd);
}

static void image_learn(void)
{
    if (!gm_image.socket_path[0])
        environment_from_proc();
    if (!gm_image.socket_path[0])
        gm_image.unrecorded = true;
    long n =
        gm_sys4(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", gm_image.exe, sizeof gm_image.exe - 1);
    gm_image.exe[n > 0 ? n : 0] = 0;
}

/* ---- handshake ------------------------------------------------------------------------------------------ */

static long socket_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = HANDSHAKE_SECONDS};
    memcpy(address.sun_path, gm_image.socket_path, sizeof address.sun_path);
    long fd = gm_sys3(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    gm_sys6(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, (long)&limit, sizeof limit, 0);
    gm_sys6(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, (long)&limit, sizeof limit, 0);
    long r;
    do /* waits while the recorder's queue is full */
        r = gm_sys3(SYS_connect, fd, &address, sizeof address);
    while (r == -4 /* EINTR */);
    if (r == 0)
        return fd;
    gm_sys1(SYS_close, fd);
    return r;
}

/* Sends hello, receives welcome. Returns the memfd or a negative value. */
static long socket_ask(long fd, struct gm_welcome *welcome)
{
    struct gm_hello hello = {
        .magic = GM_SESSION_MAGIC,
        .version = GM_WIRE_VERSION,
        .kind = gm_image.session_id ? GM_HELLO_FORK : GM_HELLO_START,
        .pid = (int32_t)gm_sys0(SYS_getpid),
        .ppid = (int32_t)gm_sys0(SYS_getppid),
        .parent_session_id = gm_image.session_id,
    };
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = welcome, .iov_len = sizeof *welcome};
    struct msghdr message = {.msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control};
    long r;
    do
        r = gm_sys6(SYS_sendto, fd, (long)&hello, sizeof hello, MSG_NOSIGNAL, 0, 0);
    while (r == -4 /* EINTR */);
    if (r != sizeof hello)
        return -1;
    do
        r = gm_sys3(SYS_recvmsg, fd, &message, MSG_CMSG_CLOEXEC);
    while (r == -4);
    struct cmsghdr *c = r > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
        c->cmsg_len != CMSG_LEN(sizeof(int)))
        return -1;
    int memfd;
    memcpy(&memfd, CMSG_DATA(c), sizeof memfd);
    return memfd;
}

static bool session_is_sound(const struct gm_session *s, uint64_t bytes)
{
    uint64_t rings = s->ring_count, words = s->ring_words;
    if (s->magic != GM_SESSION_MAGIC || s->version != GM_WIRE_VERSION ||
        s->session_bytes != bytes || s->session_id == 0)
        return false;
    if (rings <= GM_SHARED_RINGS || rings > 65536 || words < 4096 || (words & (words - 1)) != 0)
        return false;
    /* the deepest stack's names and a reallocation fit a ring, or the event would wait for ever */
    uint64_t depth = s->depth_leaf + (uint64_t)s->depth_root;
    if (s->depth_leaf == 0 || s->depth_root == 0 || depth > GM_CAPTURE_MAX ||
        (depth + 2) * 4 + 6 > words)
        return false;
    if (s->ring_data_offset < GM_SESSION_HEADER_BYTES + rings * sizeof(struct gm_ring) ||
        s->ring_data_offset % 64 != 0)
        return false;
    return s->ring_data_offset <= bytes && rings * words * 8 <= bytes - s->ring_data_offset;
}

static struct gm_session *session_map(void)
{
    struct gm_welcome welcome = {0};
    long fd = socket_connect();
    if (fd < 0)
        return NULL;
    long memfd = socket_ask(fd, &welcome);
    gm_sys1(SYS_close, fd);
    if (memfd < 0)
        return NULL;
    struct gm_session *s = NULL;
    if (welcome.magic == GM_SESSION_MAGIC && welcome.version == GM_WIRE_VERSION &&
        welcome.status == 0 && welcome.session_bytes >= GM_SESSION_HEADER_BYTES) {
        long p = gm_sys6(
            SYS_mmap, 0, (long)welcome.session_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
        s = p < 0 && p > -4096 ? NULL : (struct gm_session *)p; /* NOLINT */
    }
    gm_sys1(SYS_close, memfd);
    if (s && !session_is_sound(s, welcome.session_bytes)) {
        gm_sys2(SYS_munmap, s, welcome.session_bytes);
        s = NULL;
    }
    return s;
}

static void session_adopt(struct gm_session *s)
{
    struct gm_process_data *p = &gm_process;
    p->clock = s->clock;
    p->flags = s->flags;
    p->ring_count = s->ring_count;
    p->ring_words = s->ring_words;
    p->depth_leaf = s->depth_leaf;
    p->depth_root = s->depth_root;
    p->full_wait_ms = s->full_wait_ms;
    p->ticks_per_ms = s->ticks_per_ms ? s->ticks_per_ms : TICKS_PER_MS_GUESS;
    p->folds = !(s->flags & GM_SESSION_EVENTS_ALL) && s->sample_bytes == 0;
    p->session_id = s->session_id;
    p->sampling = s->sample_bytes != 0;
    p->quick = !p->sampling && s->unwinder == GM_UNWIND_CFI && !(s->flags & GM_SESSION_VERIFY);
    p->sample_seed = s->sample_seed;
    gm_sample_begin();
    p->session = s;
    gm_image.session = s;
    gm_image.session_bytes = s->session_bytes;
    gm_image.session_id = s->session_id;
    gm_image.follow = (s->flags & GM_SESSION_FOLLOW) != 0;
    gm_unwind_choose(s->unwinder, (s->flags & GM_SESSION_VERIFY) != 0);
    gm_image.pid = (int32_t)gm_sys0(SYS_getpid);
}

/* The parent's session, unless a hook of this thread was interrupted and may still be writing to it. Once only: if
 * this process gets no session of its own, the place is the program's, and its children must leave it alone. */
static void session_unmap_inherited(void)
{
    struct gm_session *inherited = gm_image.session;
    gm_image.session = NULL;
    if (inherited && gm_thread_outside_hooks())
        gm_sys2(SYS_munmap, inherited, gm_image.session_bytes);
}

bool gm_process_attach(void)
{
    uint32_t expected = GM_PROCESS_NEW;
    /* acq_rel: one thread attaches; it sees the page as wiped */
    if (!atomic_compare_exchange_strong_explicit(&gm_process.state, &expected, GM_PROCESS_ATTACHING,
            memory_order_acq_rel, memory_order_acquire))
        return expected == GM_PROCESS_ON;
    bool forked = gm_image.session_id != 0;
    if (!forked)
        image_learn();
    /* Without the kernel's help a forked child would write into its parent's rings. */
    if (gm_sys3(SYS_madvise, &gm_process_page, sizeof gm_process_page, MADV_WIPEONFORK) < 0)
        gm_image.unrecorded = true;
    struct gm_session *s = NULL;
    if (!gm_image.unrecorded && (!forked || gm_image.follow)) {
        if (forked)
            session_unmap_inherited();
        s = session_map();
    }
    if (s)
        session_adopt(s);
    /* release: pairs with the acquire in gm_process_on */
    atomic_store_explicit(
        &gm_process.state, s ? GM_PROCESS_ON : GM_PROCESS_OFF, memory_order_release);
    return s != NULL;
}

void gm_process_stop(void)
{
    atomic_store_explicit(&gm_process.state, GM_PROCESS_OFF, memory_order_release);
}

bool gm_process_note_end(enum gm_end_kind kind, int value)
{
    if (atomic_load_explicit(&gm_process.state, memory_order_acquire) != GM_PROCESS_ON)
        return false;
    if ((int32_t)gm_sys0(SYS_getpid) != gm_image.pid)
        return false;
    /* release: the recorder reads end_value after end_kind */
    atomic_store_explicit(&gm_process.session->end_value, value, memory_order_relaxed);
    atomic_store_explicit(&gm_process.session->end_kind, (uint32_t)kind, memory_order_release);
    return true;
}
