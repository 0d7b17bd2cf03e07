/* Whose signatures are trusted on this machine. */
#ifndef RUNTIME_PINNED_KEYS_H
#define RUNTIME_PINNED_KEYS_H

#include "../db/signature.h"

/* Is the key among the *.pub of $TUNESMITH_KEYS (a folder), ~/.config/tunesmith/keys (below
 * XDG_CONFIG_HOME, if that is set) and /etc/tunesmith/keys? Key files that others than this user
 * and root own or can write count for nothing. Any thread. */
bool rt_key_is_pinned(const db_public_key *key);

#endif
