/* request.c - see request.h. Everything that a request needs is collected memory: what it took, what it found and what
 * it answers is dropped at the end without a word, and dies young. */
#include "request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "find.h"
#include "geomem/geomem.h"
#include "words.h"

struct request {
    struct index *index;
    struct text *body; /* what follows the verb */
    uint64_t id;       /* the number that the body begins with, where the verb wants one */
    size_t id_length;  /* and how much of the body it takes, with the blank behind it */
    struct reply *reply;
};

/* -EINVAL: the body does not begin with a number. */
static int request_read_id(struct request *request)
{
    const struct text *body = request->body;
    size_t digits = 0;
    request->id = 0;
    for (; digits < body->length && body->bytes[digits] >= '0' && body->bytes[digits] <= '9';
         digits++)
        request->id = request->id * 10 + (uint64_t)(body->bytes[digits] - '0');
    if (!digits || digits > 18 || (digits < body->length && body->bytes[digits] != ' '))
        return -EINVAL;
    request->id_length = digits < body->length ? digits + 1 : digits;
    return 0;
}

static int put(struct request *request)
{
    if (request_read_id(request) < 0)
        return -EINVAL;
    struct text *text = text_new(
        request->body->bytes + request->id_length, request->body->length - request->id_length);
    uint32_t count;
    struct word_use *uses = words_of(text, &count);
    /* All that could be done without the others waiting is done. */
    pthread_rwlock_wrlock(&request->index->lock);
    index_put(request->index, request->id, text, uses, count);
    pthread_rwlock_unlock(&request->index->lock);
    reply_print(request->reply, "%" PRIu32 " words", count);
    return 0;
}

static int get(struct request *request)
{
    if (request_read_id(request) < 0)
        return -EINVAL;
    pthread_rwlock_rdlock(&request->index->lock);
    const struct document *document = index_document(request->index, request->id);
    struct text *text = document ? document->text : NULL;
    pthread_rwlock_unlock(&request->index->lock);
    if (!text)
        return -ENOENT;
    /* Somebody may have dropped the document by now: as long as its text is looked at here, it stays. */
    reply_add(request->reply, text);
    return 0;
}

static int drop(struct request *request)
{
    if (request_read_id(request) < 0)
        return -EINVAL;
    pthread_rwlock_wrlock(&request->index->lock);
    int r = index_drop(request->index, request->id);
    pthread_rwlock_unlock(&request->index->lock);
    return r;
}

static int find(struct request *request)
{
    pthread_rwlock_rdlock(&request->index->lock);
    int r = find_documents(request->index, request->index->answers, request->body, request->reply);
    pthread_rwlock_unlock(&request->index->lock);
    return r;
}

static int stats(struct request *request)
{
    struct geomem_heap_statistics heap = {.struct_bytes = sizeof heap};
    struct timespec cpu;
    int r = geomem_heap_statistics(NULL, &heap);
    if (r < 0)
        return r;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    pthread_rwlock_rdlock(&request->index->lock);
    uint64_t documents = request->index->document_count, words = request->index->word_count;
    pthread_rwlock_unlock(&request->index->lock);
    uint64_t hits, misses, cached_bytes;
    answers_count(request->index->answers, &hits, &misses, &cached_bytes);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"documents", documents},
        {"words", words},
        {"cpu_ns", (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec},
        {"collector_cpu_ns", heap.collector_cpu_ns},
        {"young_collections", heap.young_collections},
        {"full_collections", heap.full_collections},
        {"pause_total_ns", heap.pause_total_ns},
        {"pause_max_ns", heap.pause_max_ns},
        {"footprint_bytes", heap.footprint_bytes},
        {"young_bytes", heap.young_bytes},
        {"old_bytes", heap.old_bytes},
        {"allocated_bytes", heap.allocated_bytes},
        {"promoted_bytes", heap.promoted_bytes},
        {"answers_hits", hits},
        {"answers_misses", misses},
        {"answers_bytes", cached_bytes},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        reply_print(request->reply, "%s%s %" PRIu64, i ? " " : "", rows[i].name, rows[i].value);
    return 0;
}

static int check(struct request *request)
{
    pthread_rwlock_rdlock(&request->index->lock);
    int r = index_check(request->index);
    pthread_rwlock_unlock(&request->index->lock);
    return r < 0 ? r : geomem_heap_check(NULL, 3, stderr);
}

static const struct verb {
    const char *name;
    int (*answer)(struct request *request); /* -EINVAL: what the line says cannot be understood */
} verbs[] = {
    {"FIND", find},
    {"PUT", put},
    {"GET", get},
    {"DROP", drop},
    {"STATS", stats},
    {"CHECK", check},
};

static const struct verb *verb_by_name(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strlen(verbs[i].name) == length && !memcmp(verbs[i].name, name, length))
            return &verbs[i];
    return NULL;
}

static struct reply *refusal(const char *why)
{
    struct reply *reply = reply_new();
    reply_print(reply, "ERR %s\n", why);
    return reply;
}

struct reply *request_answer(struct index *index, const char *line, size_t length)
{
    const char *blank = memchr(line, ' ', length);
    size_t name_length = blank ? (size_t)(blank - line) : length;
    const struct verb *verb = verb_by_name(line, name_length);
    if (!verb)
        return refusal("no such request; there are PUT, GET, DROP, FIND, STATS, CHECK");
    size_t skip = blank ? name_length + 1 : name_length;
    struct request request = {.index = index, .reply = reply_new()};
    request.body = text_new(line + skip, length - skip);
    reply_print(request.reply, "OK ");
    int r = verb->answer(&request);
    if (r < 0)
        return refusal(strerror(-r));
    reply_print(request.reply, "\n");
    return request.reply;
}
