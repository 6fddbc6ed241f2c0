/* notes_finalizer.h - calling the finalizers that are due: see notes.h. */
#ifndef GM_GC_NOTES_FINALIZER_H
#define GM_GC_NOTES_FINALIZER_H

/* World stopped, lock held: some have become due, so that gm_notes_announce has something to say. */
void gm_finalizers_became_due(void);

#endif
