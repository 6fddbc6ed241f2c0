/* socket_folder.h - what killed recorders leave in /tmp is cleared away by later ones.
 *
 * A recorder's socket stands in a folder of its own, BASE/geomem-XXXXXX, which SIGKILL leaves behind. A recorder
 * holds a lock on its folder as long as it lives; the kernel lets go of it however it ends.
 */
#ifndef GM_COLLECTOR_SOCKET_FOLDER_H
#define GM_COLLECTOR_SOCKET_FOLDER_H

#define GM_SOCKET_FOLDER "geomem-XXXXXX" /* for mkdtemp */
#define GM_SOCKET_NAME "session-"        /* what the socket's name begins with */

/* Locks the folder for as long as the descriptor it returns is open; a negative errno where it cannot be. */
int gm_socket_folder_lock(const char *folder);
/* Removes folders of ours below `base` that nobody holds and that are more than a minute old, which no recorder is
 * that is just starting. Only what holds nothing but sockets; nothing of other users; what fails is left. */
void gm_socket_folder_sweep(const char *base);

#endif
