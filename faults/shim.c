/* Counts the calls by which a process changes files below FAULTS_ROOT, and at the armed one kills it or fails. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int count, at, fault, sticky; /* fault: 0 means a kill, else the errno of the failing call */

void arm(int number, int what, int stays) { count = 0; fault = what; sticky = stays; at = number ? number : INT_MAX; }
int counted(void) { return count; }

static int below(const char *path) {
    const char *root = getenv("FAULTS_ROOT");
    return at && root && path && strncmp(path, root, strlen(root)) == 0;
}

static int below_at(int folder, const char *path) {
    char link[64], found[PATH_MAX];
    if (path && path[0] == '/') return below(path);
    if (folder == AT_FDCWD) return 0; /* all tested programs use absolute paths */
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t size = readlink(link, found, sizeof found - 1);
    if (size < 0) return 0;
    found[size] = 0;
    return below(found);
}

static int fails(void) {
    int now = ++count;
    if (sticky ? now < at : now != at) return 0;
    if (!fault) kill(getpid(), SIGKILL);
    errno = fault;
    return 1;
}

#define FILE_CALL(type, name, declared, given, where) \
    type name declared { \
        static type (*own) declared; \
        if (!own) own = dlsym(RTLD_NEXT, #name); \
        if ((where) && fails()) return -1; \
        return own given; \
    }
#define HERE(fd) below_at(fd, NULL)

FILE_CALL(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), HERE(fd))
FILE_CALL(ssize_t, writev, (int fd, const struct iovec *data, int size), (fd, data, size), HERE(fd))
FILE_CALL(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t o), (fd, data, size, o), HERE(fd))
FILE_CALL(int, fsync, (int fd), (fd), HERE(fd))
FILE_CALL(int, fdatasync, (int fd), (fd), HERE(fd))
FILE_CALL(int, ftruncate64, (int fd, off64_t size), (fd, size), HERE(fd))
FILE_CALL(int, ftruncate, (int fd, off_t size), (fd, size), HERE(fd))
FILE_CALL(int, rename, (const char *one, const char *two), (one, two), below(two))
FILE_CALL(int, renameat, (int a, const char *one, int b, const char *two), (a, one, b, two), below_at(b, two))
FILE_CALL(int, unlink, (const char *path), (path), below(path))
FILE_CALL(int, unlinkat, (int fd, const char *path, int how), (fd, path, how), below_at(fd, path))
FILE_CALL(int, rmdir, (const char *path), (path), below(path))
FILE_CALL(int, mkdir, (const char *path, mode_t mode), (path, mode), below(path))
FILE_CALL(int, link, (const char *one, const char *two), (one, two), below(two))

#define OPEN_CALL(name, declared, given, where) \
    int name declared { \
        static int (*own)(); \
        mode_t mode = 0; \
        if (!own) own = dlsym(RTLD_NEXT, #name); \
        if (flags & O_CREAT) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
        if ((flags & (O_CREAT | O_TRUNC)) && (where) && fails()) return -1; \
        return own given; \
    }

OPEN_CALL(open, (const char *path, int flags, ...), (path, flags, mode), below(path))
OPEN_CALL(open64, (const char *path, int flags, ...), (path, flags, mode), below(path))
OPEN_CALL(openat, (int fd, const char *path, int flags, ...), (fd, path, flags, mode), below_at(fd, path))
OPEN_CALL(openat64, (int fd, const char *path, int flags, ...), (fd, path, flags, mode), below_at(fd, path))
