/* app.h - geomem-top on a terminal: reads the recording, draws, and answers keys, in one thread.
 *
 *   timer ─▶ live update ─▶ model ─┐
 *   keys  ─▶ action ─▶ ui state ───┴▶ view ─▶ grid ─▶ terminal
 *
 * Keys are answered at once: waiting is done in ppoll alone, on the keyboard and the time of the next refresh.
 */
#ifndef GM_TUI_APP_H
#define GM_TUI_APP_H

#include <stddef.h>

#include "analyzer/core/recording.h"
#include "tui/launch.h"
#include "tui/options.h"

/* Shows the recording until the user quits. `launch` is NULL unless the recording was started here. Returns
 * the exit status; the terminal has been given back and what is to be said has been printed. */
int gm_app_run(
    const struct gm_options *options, struct gm_recording *recording, struct gm_launch *launch);

#endif
