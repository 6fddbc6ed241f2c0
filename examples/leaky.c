/* leaky.c - a small request server in one process, with a leak of the usual kind.
 *
 * A client sends LOGIN, ADD (to its cart) and LOGOUT. Sessions stand in a hash table by user. A session
 * that was silent for too long is expired by the next request that finds it, and that path was written in
 * a hurry: session_expire() takes the session out of the table and frees it, but not its cart.
 * session_logout() frees both. All the rest is given back at the end, so that what a leak finder lists is
 * the leak and nothing else.
 *
 * Usage: leaky [REQUESTS [PAUSE_US]]     default 300000 requests, no pause between them
 *
 * The requests come from a fixed pseudo-random sequence: every run does the same and prints the same line,
 * whose last figure is the number of carts that were lost.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TABLE_SLOTS 1024u
#define USERS 5000u
#define CART_ITEMS 30u
#define SILENT_TICKS 2000ul /* a session that was silent for longer has expired */

struct cart {
    unsigned items;
    uint64_t item[CART_ITEMS];
};

struct session {
    struct session *next;
    char *user;
    struct cart *cart;
    unsigned long last_tick;
};

struct server {
    struct session *table[TABLE_SLOTS];
    unsigned long tick, open, expired, answered_bytes;
};

enum verb { LOGIN, ADD, LOGOUT };

struct request {
    enum verb verb;
    char user[24];
    uint64_t item;
};

/* xorshift64* (S. Vigna, 2016): the same sequence on every machine. */
static uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

static void *checked(void *block)
{
    if (!block) {
        fprintf(stderr, "leaky: out of memory\n");
        exit(1);
    }
    return block;
}

static struct session **table_slot(struct server *server, const char *user)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *c = user; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    struct session **slot = &server->table[hash % TABLE_SLOTS];
    while (*slot && strcmp((*slot)->user, user) != 0)
        slot = &(*slot)->next;
    return slot;
}

static struct cart *cart_new(void)
{
    return checked(calloc(1, sizeof(struct cart)));
}

static void session_login(struct server *server, struct session **slot, const char *user)
{
    struct session *session = checked(malloc(sizeof *session));
    session->user = checked(strdup(user));
    session->cart = cart_new();
    session->last_tick = server->tick;
    session->next = NULL;
    *slot = session;
    server->open++;
}

static void session_remove(struct server *server, struct session **slot)
{
    struct session *session = *slot;
    *slot = session->next;
    free(session->user);
    free(session);
    server->open--;
}

static void session_logout(struct server *server, struct session **slot)
{
    free((*slot)->cart);
    session_remove(server, slot);
}

static void session_expire(struct server *server, struct session **slot)
{
    session_remove(server, slot); /* the bug: nobody frees (*slot)->cart */
    server->expired++;
}

/* Every answer is built in a block that dies with the request. */
static void answer(struct server *server, const struct request *request, const char *text)
{
    size_t bytes = strlen(request->user) + strlen(text) + 3;
    char *line = checked(malloc(bytes));
    snprintf(line, bytes, "%s: %s", request->user, text);
    server->answered_bytes += strlen(line);
    free(line);
}

static void request_handle(struct server *server, const struct request *request)
{
    struct session **slot = table_slot(server, request->user);
    if (*slot && server->tick - (*slot)->last_tick > SILENT_TICKS) {
        session_expire(server, slot);
        slot = table_slot(server, request->user);
    }
    if (!*slot && request->verb != LOGIN) {
        answer(server, request, "please log in");
        return;
    }
    if (!*slot)
        session_login(server, slot, request->user);
    struct session *session = *slot;
    session->last_tick = server->tick;
    if (request->verb == ADD && session->cart->items < CART_ITEMS)
        session->cart->item[session->cart->items++] = request->item;
    if (request->verb == LOGOUT)
        session_logout(server, slot);
    answer(server, request, "done");
}

static void request_read(uint64_t *state, struct request *request)
{
    static const enum verb verbs[] = {LOGIN, LOGIN, ADD, ADD, ADD, ADD, ADD, LOGOUT};
    request->verb = verbs[random_next(state) >> 61];
    request->item = random_next(state);
    snprintf(
        request->user, sizeof request->user, "user%04u", (unsigned)(random_next(state) % USERS));
}

static void server_loop(struct server *server, unsigned long requests, unsigned pause_us)
{
    uint64_t state = 0x9e3779b97f4a7c15ull;
    for (server->tick = 1; server->tick <= requests; server->tick++) {
        struct request request;
        request_read(&state, &request);
        request_handle(server, &request);
        if (pause_us)
            usleep(pause_us);
    }
}

static void server_stop(struct server *server)
{
    for (unsigned i = 0; i < TABLE_SLOTS; i++)
        while (server->table[i])
            session_logout(server, &server->table[i]);
    free(server);
}

int main(int argc, char **argv)
{
    unsigned long requests = argc > 1 ? strtoul(argv[1], NULL, 10) : 300000;
    unsigned pause_us = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    static char output[256]; /* else the C library takes a block for it and keeps it to the end */
    struct server *server = checked(calloc(1, sizeof *server));

    setvbuf(stdout, output, _IOLBF, sizeof output);
    server_loop(server, requests, pause_us);
    printf("requests %lu, sessions still open %lu, sessions expired %lu\n", requests, server->open,
        server->expired);
    server_stop(server);
    return 0;
}
