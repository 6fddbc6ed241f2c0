/* batch.h - the model as text or JSON on standard output, for scripts.
 *
 * The JSON document ("schema": "geomem.top/1") is described in geomem-top(1); fields are added, never
 * changed.
 */
#ifndef GM_TUI_BATCH_H
#define GM_TUI_BATCH_H

#include <stdio.h>

#include "tui/model.h"

/* Prints the header's figures and at most `rows` rows. Returns 0, or a negative errno of the output. */
int gm_batch_text(
    FILE *out, const struct gm_model *model, const struct gm_sorting *sorting, size_t rows);

/* Prints one document on one line. The stacks of the rows come from `recording`, which must still be in the
 * state that the model shows. */
int gm_batch_json(FILE *out, struct gm_model *model, struct gm_recording *recording,
    const struct gm_sorting *sorting, const struct gm_filter *filter, size_t rows);

#endif
