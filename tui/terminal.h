/* terminal.h - the one part that knows curses: shows a grid, reads keys, gives the terminal back.
 *
 * There is one terminal, so there is no handle. The terminal is given back as it was on close, and also
 * when the program dies of a fatal signal in between.
 */
#ifndef GM_TUI_TERMINAL_H
#define GM_TUI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

#include "tui/grid.h"
#include "tui/keys.h"

/* Takes over the terminal on standard output; keys come from standard input, or from /dev/tty where that is
 * no terminal. setlocale comes first. Returns 0, or a negative errno and one line in message. */
int gm_terminal_open(bool colour, char *message, size_t message_bytes);
/* Gives the terminal back. Harmless when it is not open. */
void gm_terminal_close(void);

/* True when the locale can show characters beyond ASCII. */
bool gm_terminal_unicode(void);
void gm_terminal_size(int *ret_w, int *ret_h);
/* Looks at the size anew, after SIGWINCH. */
void gm_terminal_resize(void);
void gm_terminal_show(const struct gm_grid *grid);
/* Makes the next show draw every cell. */
void gm_terminal_forget(void);
/* Gives the terminal back, stops the process as Ctrl-Z does, and takes it again when that goes on. */
void gm_terminal_suspend(void);

/* Readable when there may be keys. */
int gm_terminal_fd(void);
/* The next key (a character or enum gm_key), or GM_KEY_NONE at once. */
int gm_terminal_key(void);

#endif
