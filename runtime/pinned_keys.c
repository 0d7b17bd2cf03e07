/* Trusted public keys: files in a few folders, read when a signed database is opened. */
#include "pinned_keys.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

/* Whoever can write a key file decides whom this user trusts. */
static bool is_ours(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) &&
           (info.st_uid == geteuid() || info.st_uid == 0) && !(info.st_mode & (S_IWGRP | S_IWOTH));
}

static bool file_has(const char *path, const db_public_key *key) {
    db_public_key found;
    return is_ours(path) && db_public_key_read(path, &found, NULL) == TS_STATUS_OK &&
           memcmp(&found, key, sizeof found) == 0;
}

static bool folder_has(const char *folder, const db_public_key *key) {
    static const char suffix[] = ".pub";
    DIR *entries = opendir(folder);
    bool found = false;
    for (struct dirent *e; entries && !found && (e = readdir(entries));) {
        char path[PATH_BYTES];
        size_t bytes = strlen(e->d_name);
        if (bytes < sizeof suffix || strcmp(e->d_name + bytes - strlen(suffix), suffix) != 0)
            continue;
        int length = snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        found = length > 0 && length < PATH_BYTES && file_has(path, key);
    }
    if (entries) closedir(entries);
    return found;
}

bool rt_key_is_pinned(const db_public_key *key) {
    static const struct {
        const char *variable, *below;
    } folders[] = {{"TUNESMITH_KEYS", ""},
                   {"XDG_CONFIG_HOME", "/tunesmith/keys"},
                   {"HOME", "/.config/tunesmith/keys"},
                   {NULL, "/etc/tunesmith/keys"}};
    bool have_config = false; /* XDG_CONFIG_HOME takes the place of HOME's */
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        const char *variable = folders[i].variable, *root = variable ? secure_getenv(variable) : "";
        char path[PATH_BYTES];
        if (!root || (variable && root[0] != '/')) continue; /* relative counts as not set */
        if (variable && strcmp(variable, "HOME") == 0 && have_config) continue;
        if (variable && strcmp(variable, "XDG_CONFIG_HOME") == 0) have_config = true;
        int length = snprintf(path, sizeof path, "%s%s", root, folders[i].below);
        if (length > 0 && length < PATH_BYTES && folder_has(path, key)) return true;
    }
    return false;
}
