/* terminal.c - see terminal.h. The only file that includes curses. */
#define NCURSES_WIDECHAR 1
#include "tui/terminal.h"

#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#define ESCAPE_DELAY_MS \
    25 /* a lone Esc is told from an arrow key after this; ncurses waits a second */

static struct {
    bool open, colour, synchronized;
    FILE *keys; /* standard input or /dev/tty */
    SCREEN *screen;
    struct termios before;
    char give_back[256]; /* what to write when there is no time for endwin */
    size_t give_back_n;
    cchar_t *cells;
    int cell_room;
} term;

/* ---- styles ----------------------------------------------------------------------------------------- */

/* Never by colour alone: every style that means something also has an attribute, or comes with a word. */
static const struct {
    attr_t attributes;
    short colour; /* -1: the terminal's own */
} styles[GM_STYLE_COUNT] = {
    [GM_STYLE_NORMAL] = {A_NORMAL, -1},
    [GM_STYLE_DIM] = {A_DIM, -1},
    [GM_STYLE_BOLD] = {A_BOLD, -1},
    [GM_STYLE_TITLE] = {A_BOLD, COLOR_CYAN},
    [GM_STYLE_GOOD] = {A_BOLD, COLOR_GREEN},
    [GM_STYLE_WARN] = {A_NORMAL, COLOR_YELLOW},
    [GM_STYLE_BAD] = {A_BOLD, COLOR_RED},
    [GM_STYLE_CURSOR] = {A_REVERSE, -1},
    [GM_STYLE_HEAD] = {A_REVERSE, COLOR_GREEN},
    [GM_STYLE_SORTED] = {A_REVERSE | A_BOLD, COLOR_CYAN},
    [GM_STYLE_CHART] = {A_NORMAL, COLOR_GREEN},
    [GM_STYLE_KEY] = {A_BOLD, COLOR_CYAN},
};

static void styles_init(bool colour)
{
    term.colour = colour && has_colors() && start_color() == OK;
    if (!term.colour)
        return;
    use_default_colors();
    for (short i = 0; i < GM_STYLE_COUNT; i++)
        init_pair((short)(i + 1), styles[i].colour, -1);
}

/* ---- fatal signals ---------------------------------------------------------------------------------- */

/* Async-signal-safe. The signal then does what it would have done. */
static void fatal_handler(int signal_number)
{
    int saved = errno;
    if (term.open) {
        tcsetattr(fileno(term.keys), TCSANOW, &term.before);
        ssize_t n = write(STDOUT_FILENO, term.give_back, term.give_back_n);
        (void)n;
    }
    errno = saved;
    raise(signal_number); /* SA_RESETHAND: the default action now */
}

static void fatal_init(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT, SIGSYS};
    static const char *const names[] = {"sgr0", "cnorm", "rmkx", "rmcup"};
    struct sigaction action = {.sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
    action.sa_handler = fatal_handler;
    term.give_back_n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = tigetstr(names[i]);
        if (!text || text == (char *)-1 || term.give_back_n + strlen(text) > sizeof term.give_back)
            continue;
        memcpy(term.give_back + term.give_back_n, text, strlen(text));
        term.give_back_n += strlen(text);
    }
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        sigaction(fatal[i], &action, NULL);
}

/* ---- opening and closing ---------------------------------------------------------------------------- */

static FILE *keys_open(void)
{
    if (isatty(STDIN_FILENO))
        return stdin;
    return fopen("/dev/tty", "re");
}

/* Says no before curses would leave the program on its own. */
static bool terminal_can_move(void)
{
    int error = 0;
    if (setupterm(NULL, STDOUT_FILENO, &error) != OK)
        return false;
    const char *move = tigetstr("cup");
    bool can = move && move != (char *)-1;
    del_curterm(cur_term);
    return can;
}

static void terminal_modes(void)
{
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    intrflush(stdscr, FALSE);
    leaveok(stdscr, TRUE);
    curs_set(0);
}

int gm_terminal_open(bool colour, char *message, size_t message_bytes)
{
    const char *name = getenv("TERM");
    if (!name || !*name || strcmp(name, "dumb") == 0 || !terminal_can_move()) {
        snprintf(message, message_bytes, "the terminal (TERM=%s) cannot show a screen: use -b",
            name ? name : "");
        return -ENOTTY;
    }
    term.keys = keys_open();
    if (!term.keys || tcgetattr(fileno(term.keys), &term.before) < 0) {
        snprintf(message, message_bytes, "no terminal to read keys from: use -b");
        return -ENOTTY;
    }
    term.screen = newterm(NULL, stdout, term.keys);
    if (!term.screen) {
        snprintf(message, message_bytes, "the terminal (TERM=%s) cannot be used: use -b", name);
        return -ENOTTY;
    }
    set_escdelay(ESCAPE_DELAY_MS);
    terminal_modes();
    styles_init(colour);
    fatal_init();
    /* Old consoles print what they do not know; terminals of this century skip it. */
    term.synchronized = strncmp(name, "linux", 5) != 0 && strncmp(name, "vt", 2) != 0;
    term.open = true;
    return 0;
}

void gm_terminal_close(void)
{
    if (!term.open)
        return;
    term.open = false;
    endwin();
    delscreen(term.screen);
    tcsetattr(fileno(term.keys), TCSADRAIN, &term.before);
    if (term.keys != stdin)
        fclose(term.keys);
    free(term.cells);
    term.cells = NULL;
    term.cell_room = 0;
}

bool gm_terminal_unicode(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

void gm_terminal_size(int *ret_w, int *ret_h)
{
    getmaxyx(stdscr, *ret_h, *ret_w);
}

void gm_terminal_resize(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
        resizeterm(size.ws_row, size.ws_col);
    gm_terminal_forget();
}

void gm_terminal_forget(void)
{
    clearok(curscr, TRUE);
}

void gm_terminal_suspend(void)
{
    sigset_t stop, before;
    endwin();
    signal(SIGTSTP, SIG_DFL);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    raise(SIGTSTP);
    /* Blocked while handlers run elsewhere, so it takes effect here, and so does what comes after it. */
    sigprocmask(SIG_UNBLOCK, &stop, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    refresh();
    gm_terminal_resize();
}

/* ---- showing ---------------------------------------------------------------------------------------- */

static void synchronize(bool begin)
{
    static const char on[] = "\033[?2026h", off[] = "\033[?2026l";
    if (!term.synchronized)
        return;
    ssize_t n = write(STDOUT_FILENO, begin ? on : off, sizeof on - 1);
    (void)n;
}

static void row_show(const struct gm_grid *grid, int y)
{
    int n = 0;
    for (int x = 0; x < grid->w; x++) {
        const struct gm_cell *cell = &grid->cells[y * grid->w + x];
        wchar_t text[2] = {(wchar_t)cell->ch, 0};
        if (cell->ch == 0)
            continue; /* second half of a wide character */
        attr_t attributes = styles[cell->style].attributes;
        short pair = term.colour ? (short)(cell->style + 1) : 0;
        setcchar(&term.cells[n++], text, attributes, pair, NULL);
    }
    mvadd_wchnstr(y, 0, term.cells, n);
}

void gm_terminal_show(const struct gm_grid *grid)
{
    if (term.cell_room < grid->w) {
        cchar_t *cells = realloc(term.cells, (size_t)grid->w * sizeof *cells);
        if (!cells)
            return;
        term.cells = cells;
        term.cell_room = grid->w;
    }
    for (int y = 0; y < grid->h; y++)
        row_show(grid, y);
    synchronize(true);
    refresh();
    synchronize(false);
}

/* ---- keys ------------------------------------------------------------------------------------------- */

int gm_terminal_fd(void)
{
    return fileno(term.keys);
}

static int key_of_code(wint_t code)
{
    switch (code) {
    case KEY_UP:
        return GM_KEY_UP;
    case KEY_DOWN:
        return GM_KEY_DOWN;
    case KEY_LEFT:
        return GM_KEY_LEFT;
    case KEY_RIGHT:
        return GM_KEY_RIGHT;
    case KEY_PPAGE:
        return GM_KEY_PAGE_UP;
    case KEY_NPAGE:
        return GM_KEY_PAGE_DOWN;
    case KEY_HOME:
        return GM_KEY_HOME;
    case KEY_END:
        return GM_KEY_END;
    case KEY_ENTER:
        return GM_KEY_ENTER;
    case KEY_BACKSPACE:
    case KEY_DC:
        return GM_KEY_BACKSPACE;
    case KEY_RESIZE:
        return GM_KEY_RESIZE;
    default:
        return 0; /* a key without a meaning here */
    }
}

/* Terminals do not always send what their terminfo entry says: arrows in the other of two modes, Home and
 * End in one of four forms. What curses did not know comes here: the rest of "ESC [ B", "ESC O B", "ESC [ 4 ~". */
static int key_after_escape(void)
{
    static const struct {
        char last;
        int number; /* in front of '~' */
        int key;
    } sequences[] = {{'A', 0, GM_KEY_UP}, {'B', 0, GM_KEY_DOWN}, {'C', 0, GM_KEY_RIGHT},
        {'D', 0, GM_KEY_LEFT}, {'H', 0, GM_KEY_HOME}, {'F', 0, GM_KEY_END}, {'~', 1, GM_KEY_HOME},
        {'~', 7, GM_KEY_HOME}, {'~', 4, GM_KEY_END}, {'~', 8, GM_KEY_END}, {'~', 5, GM_KEY_PAGE_UP},
        {'~', 6, GM_KEY_PAGE_DOWN}};
    wint_t first, ch;
    int number = 0;
    if (get_wch(&first) == ERR)
        return GM_KEY_ESCAPE;
    if (first != 'O' && first != '[') {
        unget_wch((wchar_t)first); /* Esc, and then a key of its own */
        return GM_KEY_ESCAPE;
    }
    do {
        if (get_wch(&ch) == ERR)
            return GM_KEY_ESCAPE;
        if (ch >= '0' && ch <= '9' && number < 1000)
            number = number * 10 + (int)(ch - '0');
    } while ((ch >= '0' && ch <= '9') || ch == ';');
    for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++)
        if ((wint_t)sequences[i].last == ch && (ch != '~' || sequences[i].number == number))
            return sequences[i].key;
    return 0;
}

int gm_terminal_key(void)
{
    wint_t ch;
    int r = get_wch(&ch);
    if (r == ERR)
        return GM_KEY_NONE;
    if (r == KEY_CODE_YES)
        return key_of_code(ch);
    if (ch == 27)
        return key_after_escape();
    if (ch == '\n')
        return GM_KEY_ENTER;
    return ch == 8 ? GM_KEY_BACKSPACE : (int)ch;
}
