/* keys.h - the one list of keys: what the main loop does, what the help and the last line say. */
#ifndef GM_TUI_KEYS_H
#define GM_TUI_KEYS_H

/* Keys as terminal.c reports them: a character, or one of these. */
enum gm_key {
    GM_KEY_NONE = -1,
    GM_KEY_ENTER = 13,
    GM_KEY_ESCAPE = 27,
    GM_KEY_BACKSPACE = 127,
    GM_KEY_UP = 0x110000, /* above all characters */
    GM_KEY_DOWN,
    GM_KEY_LEFT,
    GM_KEY_RIGHT,
    GM_KEY_PAGE_UP,
    GM_KEY_PAGE_DOWN,
    GM_KEY_HOME,
    GM_KEY_END,
    GM_KEY_RESIZE,
};

enum gm_action {
    GM_ACTION_NONE,
    GM_ACTION_UP,
    GM_ACTION_DOWN,
    GM_ACTION_PAGE_UP,
    GM_ACTION_PAGE_DOWN,
    GM_ACTION_FIRST,
    GM_ACTION_LAST,
    GM_ACTION_ENTER,
    GM_ACTION_BACK,
    GM_ACTION_FILTER,
    GM_ACTION_SORT_MENU,
    GM_ACTION_SORT_LEFT,
    GM_ACTION_SORT_RIGHT,
    GM_ACTION_INVERT,
    GM_ACTION_FREEZE,
    GM_ACTION_PAUSE,
    GM_ACTION_WINDOW,
    GM_ACTION_EARLIER,
    GM_ACTION_LATER,
    GM_ACTION_MARK,
    GM_ACTION_FASTER,
    GM_ACTION_SLOWER,
    GM_ACTION_CHART,
    GM_ACTION_GC,
    GM_ACTION_CACHES,
    GM_ACTION_REDRAW,
    GM_ACTION_HELP,
    GM_ACTION_STOP,
    GM_ACTION_QUIT,
    GM_ACTION_COUNT,
};

struct gm_key_line {
    int keys[4]; /* ends with 0 unless full */
    enum gm_action action;
    const char *label; /* as printed: "PgUp" */
    const char *text;  /* for the help */
};

extern const struct gm_key_line gm_key_lines[];
extern const int gm_key_line_count;

enum gm_action gm_key_action(int key);

#endif
