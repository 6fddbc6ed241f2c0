/* pager.h - a page of lines of which a part is on the screen; for the views. */
#ifndef GM_TUI_PAGER_H
#define GM_TUI_PAGER_H

#include <stdbool.h>

#include "tui/grid.h"

/* Lines are numbered from 0; only those inside the visible part are drawn. */
struct pager {
    struct gm_grid *grid; /* NULL: only count */
    int first, y, h;      /* first visible line, and where it goes */
    int line;             /* the next one */
};

static inline bool pager_next(struct pager *p, int *ret_y)
{
    int row = p->line++ - p->first;
    *ret_y = p->y + row;
    return p->grid && row >= 0 && row < p->h;
}

static inline void pager_text(struct pager *p, int x, enum gm_style style, const char *text)
{
    int y;
    if (pager_next(p, &y))
        gm_grid_text_cut(p->grid, x, y, p->grid->w, style, text);
}

#endif
