/* A disk that fails one process: it is preloaded. While the file ROOM_TOLD is there, what it says
 * holds for the files under the folder ROOM_UNDER:
 *   grow: there is no room left, so no file gets longer;
 *   log:  there is no room left for a byte of the log, as on file systems that write elsewhere;
 *   sync: what was written to the log cannot be brought to the disk; each try is noted beside
 *         ROOM_TOLD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEXT(result, name, ...) \
    static result (*next)(__VA_ARGS__); \
    if (!next) next = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int says(char what) {
    const char *told = getenv("ROOM_TOLD");
    char word = 0;
    int file = told ? open(told, O_RDONLY) : -1;
    if (file < 0) return 0;
    if (read(file, &word, 1) != 1) word = 0;
    close(file);
    return word == what;
}

/* Whether a file lies under the folder, and is one of the log's if only those are meant. */
static int lies(int file, int log) {
    const char *under = getenv("ROOM_UNDER");
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!under || length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, under, strlen(under))) return 0;
    return !log || (strstr(path, "/raft/") && strstr(path, ".log"));
}

static int full(int file, off_t at, size_t bytes) {
    struct stat about;
    if (says('l') && lies(file, 1)) return 1;
    if (!says('g') || !lies(file, 0) || fstat(file, &about)) return 0;
    return S_ISREG(about.st_mode) && at + (off_t)bytes > about.st_size;
}

static int unsynced(int file) {
    char noted[PATH_MAX];
    if (!says('s') || !lies(file, 1)) return 0;
    snprintf(noted, sizeof noted, "%s.syncs", getenv("ROOM_TOLD"));
    int note = open(noted, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (note >= 0) {
        if (write(note, "sync\n", 5) != 5) abort();
        close(note);
    }
    return 1;
}

ssize_t write(int file, const void *from, size_t bytes) {
    NEXT(ssize_t, "write", int, const void *, size_t);
    off_t at = lseek(file, 0, SEEK_CUR);
    if (at >= 0 && full(file, at, bytes)) return errno = ENOSPC, -1;
    return next(file, from, bytes);
}

ssize_t pwrite64(int file, const void *from, size_t bytes, off64_t at) {
    NEXT(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    if (full(file, at, bytes)) return errno = ENOSPC, -1;
    return next(file, from, bytes, at);
}

ssize_t pwrite(int file, const void *from, size_t bytes, off_t at) {
    return pwrite64(file, from, bytes, at);
}

int fallocate(int file, int mode, off_t at, off_t bytes) {
    NEXT(int, "fallocate", int, int, off_t, off_t);
    if (says('g') && lies(file, 0)) return errno = ENOSPC, -1;
    return next(file, mode, at, bytes);
}

int fdatasync(int file) {
    NEXT(int, "fdatasync", int);
    if (unsynced(file)) return errno = EIO, -1;
    return next(file);
}

int fsync(int file) {
    NEXT(int, "fsync", int);
    if (unsynced(file)) return errno = EIO, -1;
    return next(file);
}
