/* notes_marker.h - notes see a collection through its marker. Stands between notes.h and mark.h. */
#ifndef GM_GC_NOTES_MARKER_H
#define GM_GC_NOTES_MARKER_H

#include "libgeomem/gc/mark.h"
#include "libgeomem/gc/notes.h"

struct gm_notes_marker {
    struct gm_notes_tracer tracer; /* first */
    struct gm_marker *marker;
};

/* `marker` has its table of states; `full` is whether that has old blocks in it. */
void gm_notes_marker_init(
    struct gm_notes_marker *notes_marker, struct gm_marker *marker, bool full);

#endif
