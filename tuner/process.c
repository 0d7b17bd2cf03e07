/* Running programs (the system's C compiler) and the scratch folders that they work in. */
#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void exec_child(const char *const *argv, int cpu_limit_s, int output) {
    struct rlimit cpu = {(rlim_t)cpu_limit_s, (rlim_t)cpu_limit_s};
    int nothing = open("/dev/null", O_RDONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CPU, &cpu);
    dup2(nothing, 0);
    dup2(output, 1);
    dup2(output, 2);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    dprintf(2, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

ts_status tuner_process_run(const char *const *argv, int cpu_limit_s, ts_buf *output, int *code,
                            ts_err *err) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return ts_fail(err, TS_STATUS_IO, "pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) exec_child(argv, cpu_limit_s, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return ts_fail(err, TS_STATUS_IO, "fork for %s: %s", argv[0], strerror(errno));
    }
    char chunk[4096];
    ssize_t got;
    while ((got = read(ends[0], chunk, sizeof chunk)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0) ts_buf_append(output, chunk, (size_t)got);
    close(ends[0]);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (*code == 127)
        return ts_fail(err, TS_STATUS_IO, "cannot run %s; install it or put it in PATH", argv[0]);
    return TS_STATUS_OK;
}

/* ---- scratch folders ---- */

static const char prefix[] = "tunesmith-";
/* A folder this young may belong to a run that has not locked it yet. */
enum { STALE_AFTER_S = 60 };

static const char *scratch_base(void) {
    const char *base = getenv("TMPDIR");
    return base && *base && strlen(base) <= 180 ? base : "/tmp";
}

ts_status tuner_scratch_make(char path[256], ts_err *err) {
    snprintf(path, 256, "%s/%sXXXXXX", scratch_base(), prefix);
    if (mkdtemp(path)) return TS_STATUS_OK;
    return ts_fail(err, TS_STATUS_IO, "cannot make a scratch folder %s: %s", path, strerror(errno));
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place) {
    (void)info, (void)type, (void)place;
    remove(path);
    return 0;
}

void tuner_scratch_remove(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/* Ours, old enough, and nobody holds its lock. */
static bool is_stale(const char *path) {
    struct stat info;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0) return false;
    bool stale = fstat(folder, &info) == 0 && info.st_uid == getuid() &&
                 info.st_mtime + STALE_AFTER_S < time(NULL) &&
                 flock(folder, LOCK_EX | LOCK_NB) == 0;
    close(folder);
    return stale;
}

static void sweep(void) {
    DIR *base = opendir(scratch_base());
    if (!base) return;
    for (struct dirent *entry; (entry = readdir(base));) {
        char path[512];
        if (strncmp(entry->d_name, prefix, sizeof prefix - 1) != 0) continue;
        snprintf(path, sizeof path, "%s/%s", scratch_base(), entry->d_name);
        if (is_stale(path)) tuner_scratch_remove(path);
    }
    closedir(base);
}

ts_status tuner_scratch_make_locked(char path[256], int *lock, ts_err *err) {
    sweep();
    TS_TRY(tuner_scratch_make(path, err));
    *lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*lock >= 0 && flock(*lock, LOCK_EX | LOCK_NB) == 0) return TS_STATUS_OK;
    if (*lock >= 0) close(*lock);
    *lock = -1;
    tuner_scratch_remove(path);
    return ts_fail(err, TS_STATUS_IO, "cannot lock the scratch folder %s", path);
}
