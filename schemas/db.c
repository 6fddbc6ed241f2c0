/* db.c - see db.h. */
#include "schemas/db.h"
