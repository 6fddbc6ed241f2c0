/* keys.c - see keys.h. */
#include "tui/keys.h"

#define CTRL(letter) ((letter)&0x1f)

const struct gm_key_line gm_key_lines[] = {
    {{GM_KEY_UP, 'k'}, GM_ACTION_UP, "Up k", "previous row or line"},
    {{GM_KEY_DOWN, 'j'}, GM_ACTION_DOWN, "Down j", "next row or line"},
    {{GM_KEY_PAGE_UP, CTRL('b')}, GM_ACTION_PAGE_UP, "PgUp", "a page up"},
    {{GM_KEY_PAGE_DOWN, CTRL('f')}, GM_ACTION_PAGE_DOWN, "PgDn", "a page down"},
    {{GM_KEY_HOME, 'g'}, GM_ACTION_FIRST, "Home g", "first row"},
    {{GM_KEY_END, 'G'}, GM_ACTION_LAST, "End G", "last row"},
    {{GM_KEY_ENTER, GM_KEY_RIGHT, '\n', 'l'}, GM_ACTION_ENTER, "Enter",
        "all figures and call stacks of the row"},
    {{GM_KEY_ESCAPE, GM_KEY_LEFT, 'h', GM_KEY_BACKSPACE}, GM_ACTION_BACK, "Esc",
        "back; on the table: drop the filter"},
    {{'/'}, GM_ACTION_FILTER, "/", "filter: text, a|b, !regex, mod:libfoo, live>1M, growth>10k"},
    {{'s', 'S'}, GM_ACTION_SORT_MENU, "s", "choose the column to sort by"},
    {{'<', ','}, GM_ACTION_SORT_LEFT, "<", "sort by the column to the left"},
    {{'>', '.'}, GM_ACTION_SORT_RIGHT, ">", "sort by the column to the right"},
    {{'I'}, GM_ACTION_INVERT, "I", "turn the order round"},
    {{'F'}, GM_ACTION_FREEZE, "F", "freeze the order of the rows, or let it go"},
    {{'w'}, GM_ACTION_WINDOW, "w", "window of growth: by itself, 10 s, 1 min, 10 min, whole run"},
    {{'p', ' '}, GM_ACTION_PAUSE, "p Space", "pause, go on"},
    {{'['}, GM_ACTION_EARLIER, "[", "10 s back in time"},
    {{']'}, GM_ACTION_LATER, "]", "10 s forward; at the end: the present again"},
    {{'m'}, GM_ACTION_MARK, "m", "set a mark in the running recording"},
    {{'+'}, GM_ACTION_SLOWER, "+", "refresh less often"},
    {{'-'}, GM_ACTION_FASTER, "-", "refresh more often"},
    {{'c'}, GM_ACTION_CHART, "c", "chart: braille, blocks, ASCII"},
    {{'C'}, GM_ACTION_GC, "C", "what the program's collector does, and back"},
    {{'K'}, GM_ACTION_CACHES, "K", "what the program's caches do, and back"},
    {{CTRL('l')}, GM_ACTION_REDRAW, "^L", "draw the screen anew"},
    {{'?'}, GM_ACTION_HELP, "?", "this help"},
    {{'Q'}, GM_ACTION_STOP, "Q", "end the recording (the program runs on), after asking"},
    {{'q', CTRL('c')}, GM_ACTION_QUIT, "q", "quit; a running recording goes on"},
};
const int gm_key_line_count = sizeof gm_key_lines / sizeof *gm_key_lines;

enum gm_action gm_key_action(int key)
{
    for (int i = 0; i < gm_key_line_count; i++)
        for (int k = 0; k < 4 && gm_key_lines[i].keys[k]; k++)
            if (gm_key_lines[i].keys[k] == key)
                return gm_key_lines[i].action;
    return GM_ACTION_NONE;
}
