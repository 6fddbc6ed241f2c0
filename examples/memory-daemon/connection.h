/* connection.h - a client, and the thread that answers it. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <pthread.h>

#include "index.h"

/* All that are open, so that they can be ended. */
struct connections {
    struct index *index;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct connection *first;
};

void connections_init(struct connections *connections, struct index *index);

/* Starts a thread that answers what comes in on `fd`, and owns fd from here on. 0 or a negative errno. */
int connection_start(struct connections *connections, int fd);

/* Ends all, and returns when their threads are through. */
void connections_end(struct connections *connections);

#endif
