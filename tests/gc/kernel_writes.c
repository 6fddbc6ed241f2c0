/* kernel_writes.c [mprotect] - system calls that write into old blocks succeed, and what they have written is found.
 *
 * The bytes of a pointer to a young block come through a pipe, a socket or a file into an old one: the only pointer there is.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "geomem/geomem.h"

/* A span of its own: one that a thread allocates from is not watched. The word stands in the middle of a page. */
enum { OLD_BYTES = 100000, AT = 1500 };

static void **old; /* a global: a root */
static int pipe_ends[2], sockets[2];
static FILE *file;

static void require(int condition, const char *what)
{
    if (condition)
        return;
    perror(what);
    exit(1);
}

static void by_read(void)
{
    require(read(pipe_ends[0], &old[AT], 8) == 8, "read");
}
static void by_readv(void)
{
    struct iovec parts[2] = {{&old[AT], 4}, {(char *)&old[AT] + 4, 4}};
    require(readv(pipe_ends[0], parts, 2) == 8, "readv");
}
static void by_recv(void)
{
    require(recv(sockets[0], &old[AT], 8, 0) == 8, "recv");
}
static void by_recvmsg(void)
{
    struct iovec part = {&old[AT], 8};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    require(recvmsg(sockets[0], &message, 0) == 8, "recvmsg");
}
static void by_pread(void)
{
    require(pread(fileno(file), &old[AT], 8, 0) == 8, "pread");
}
static void by_fread(void)
{
    rewind(file);
    require(fread(&old[AT], 1, 8, file) == 8, "fread");
}
static void by_fread_large(void)
{
    rewind(file);
    require(fread(&old[AT], 1, 8000, file) == 8000, "fread of 8,000 bytes");
}

static void (*const calls[])(void) = {
    by_read, by_readv, by_recv, by_recvmsg, by_pread, by_fread, by_fread_large};
enum { CALLS = sizeof calls / sizeof *calls };

/* Makes the young block and sends its address to wherever the call will read it. Nothing but the kernel has it then. */
static void *young_send(void *arg)
{
    uintptr_t *young = geomem_gc_alloc(64);
    require(young != NULL, "geomem_gc_alloc");
    *young = 0x600d;
    static const char zeroes[8000];
    require(write(pipe_ends[1], &young, 8) == 8 && send(sockets[1], &young, 8, 0) == 8, "write");
    rewind(file);
    require(fwrite(&young, 8, 1, file) == 1 && fwrite(zeroes, sizeof zeroes, 1, file) == 1 &&
                fflush(file) == 0,
        "fwrite");
    setbuf(file, NULL); /* what it has read is not read again */
    calls[*(int *)arg]();
    return NULL;
}

static void *young_check(void *arg)
{
    require(*(uintptr_t *)old[AT] == 0x600d, "what the kernel wrote was not found");
    old[AT] = NULL;
    return arg;
}

static void in_thread(void *(*function)(void *), void *arg)
{
    pthread_t thread;
    require(pthread_create(&thread, NULL, function, arg) == 0 && pthread_join(thread, NULL) == 0,
        "pthread_create");
}

static void empty(void)
{
    char rest[16];
    while (recv(sockets[0], rest, sizeof rest, MSG_DONTWAIT) > 0)
        ;
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    require(pipe(pipe_ends) == 0, "pipe");
}

static void *wait_for_byte(void *arg)
{
    require(read(pipe_ends[0], (char *)old + *(int *)arg, 1) == 1,
        "read that waited while pages were closed");
    return NULL;
}

/* The call may have begun before a collection that arms the page again, and end after it. */
static void waiting_call(int round)
{
    pthread_t thread;
    int at = round * 331 % OLD_BYTES;
    require(pthread_create(&thread, NULL, wait_for_byte, &at) == 0, "pthread_create");
    geomem_gc(NULL, GEOMEM_YOUNG);
    if (round & 1)
        sched_yield();
    geomem_gc(NULL, GEOMEM_YOUNG);
    require(write(pipe_ends[1], "x", 1) == 1 && pthread_join(thread, NULL) == 0, "write");
    require(((char *)old)[at] == 'x', "the byte");
    ((char *)old)[at] = 0;
}

int main(int argc, char **argv)
{
    struct geomem_heap_options options = {.struct_bytes = sizeof options};
    if (argc > 1 && strcmp(argv[1], "mprotect") == 0)
        options.tracking = GEOMEM_TRACK_MPROTECT;
    require(geomem_heap_configure(NULL, &options) == 0, "geomem_heap_configure");
    file = tmpfile();
    require(
        file != NULL && pipe(pipe_ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0,
        "pipe");
    old = geomem_gc_alloc(OLD_BYTES);
    require(old != NULL, "geomem_gc_alloc");
    for (int round = 0; round < 5 * CALLS; round++) {
        int call = round % CALLS;
        require(geomem_gc(NULL, round < CALLS ? GEOMEM_OLD : GEOMEM_YOUNG) == 0, "geomem_gc");
        require(geomem_gc(NULL, GEOMEM_YOUNG) == 0, "geomem_gc");
        in_thread(young_send, &call);
        require(geomem_gc(NULL, GEOMEM_YOUNG) == 0, "geomem_gc");
        in_thread(young_check, NULL);
        empty();
    }
    for (int round = 0; round < 200; round++)
        waiting_call(round);
    require(getrandom(old, 64, 0) == 64, "getrandom");
    printf("kernel_writes: %d calls found\n", 5 * CALLS);
    return 0;
}
