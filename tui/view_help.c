/* view_help.c - the help, made from the lists of keys and columns, and the menu of columns. */
#include "tui/view.h"

#include <string.h>

#include "tui/keys.h"

static const char *const help_notes[] = {
    "",
    "A row is a place in the program that allocates; Enter shows the call stacks that lead to it.",
    "Growth is (allocated - freed) per minute within a window: while the program runs the last",
    "minute, or the later half of a younger run; of a finished recording the later half of the "
    "run.",
    "Rows move only when their figure changed by more than 5 %.",
    "LOST! counts events that were not recorded, CORRUPT! records that could not be read: with",
    "either, figures may be wrong.",
    "",
    "Columns (the wider the screen, the more):",
};
#define HELP_NOTES ((int)(sizeof help_notes / sizeof *help_notes))

int gm_view_help_lines(void)
{
    return gm_key_line_count + HELP_NOTES + GM_COLUMN_COUNT;
}

static void help_pair(struct gm_grid *grid, int y, const char *left, const char *text)
{
    gm_grid_text(grid, 2, y, grid->w, GM_STYLE_KEY, left);
    gm_grid_text_cut(grid, 12, y, grid->w, GM_STYLE_NORMAL, text);
}

void gm_view_help(struct gm_grid *grid, const struct gm_ui *ui, int y, int h)
{
    gm_view_bar(grid, y++, "keys", "Esc: back");
    for (int i = 0; i < h - 1; i++) {
        int line = ui->scroll + i;
        if (line < gm_key_line_count) {
            help_pair(grid, y + i, gm_key_lines[line].label, gm_key_lines[line].text);
            continue;
        }
        line -= gm_key_line_count;
        if (line < HELP_NOTES)
            gm_grid_text_cut(grid, 2, y + i, grid->w, GM_STYLE_NORMAL, help_notes[line]);
        else if (line - HELP_NOTES < GM_COLUMN_COUNT)
            help_pair(grid, y + i, gm_columns[line - HELP_NOTES].title,
                gm_columns[line - HELP_NOTES].text);
    }
}

void gm_view_sort_menu(struct gm_grid *grid, const struct gm_ui *ui, int y)
{
    int w = grid->w < 66 ? grid->w : 66, room = grid->h - 1 - y;
    int first = ui->menu_line >= room - 1 ? ui->menu_line - room + 2 : 0;
    gm_grid_fill(grid, 0, y, w, GM_STYLE_HEAD, ' ');
    gm_grid_text(grid, 1, y, w, GM_STYLE_HEAD, "sort by");
    for (int c = first; c < GM_COLUMN_COUNT && c - first < room - 1; c++) {
        int row = y + 1 + c - first;
        gm_grid_fill(grid, 0, row, w, GM_STYLE_NORMAL, ' ');
        gm_grid_text(grid, 2, row, w, GM_STYLE_KEY, gm_columns[c].title);
        gm_grid_text_cut(grid, 12, row, w, GM_STYLE_NORMAL, gm_columns[c].text);
        if (c == ui->menu_line) {
            gm_grid_put(grid, 0, row, GM_STYLE_CURSOR, '>');
            gm_grid_restyle(grid, 0, row, w, GM_STYLE_CURSOR);
        }
    }
}
