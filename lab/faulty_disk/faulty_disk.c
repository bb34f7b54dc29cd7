/* A disk that fails when told to: loaded into a program with LD_PRELOAD, it stands before the calls that change files
 * below one folder. The crash harness (lab/src/crash) builds it at run time and steers it through a shared page.
 *
 * FAULTY_DISK_FOLDER   only files below this folder are touched
 * FAULTY_DISK_CONTROL  a file of at least 4096 bytes, mapped: struct control below
 * FAULTY_DISK_LOG      every change and every sync, one line each, for simulating a power cut afterwards
 *
 * Lines of the log:  W offset length path    bytes were written
 *                    O offset hex path       what was there before, if that was more than zeros
 *                    S - - path              all that was written to this file is on disk
 *                    T length - path         the file was cut or laid out to this length
 *                    C - - path              the file was made
 *                    R - - path              a file was renamed to this path
 */
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum fault { NONE = 0, FULL = 1, READ_ONLY = 2, SYNC_FAILS = 3, WRITE_FAILS = 4, DIE = 5 };

struct control {
    _Atomic int fault;  /* enum fault */
    _Atomic int after;  /* so many calls that could fail pass before the first that does */
    _Atomic int struck; /* how many calls have failed */
};

static struct control *control;
static const char *folder;
static size_t folder_length;
static int log_fd = -1;

static void set_up(void) {
    static atomic_int done;
    if (atomic_exchange(&done, 1)) return;
    const char *path = getenv("FAULTY_DISK_CONTROL");
    if (path) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
        if (fd >= 0) {
            void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            if (page != MAP_FAILED) control = page;
            syscall(SYS_close, fd);
        }
    }
    folder = getenv("FAULTY_DISK_FOLDER");
    folder_length = folder ? strlen(folder) : 0;
    path = getenv("FAULTY_DISK_LOG");
    if (path) log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

__attribute__((constructor)) static void begin(void) { set_up(); }

static int is_below(const char *path) {
    return folder_length > 0 && strncmp(path, folder, folder_length) == 0 &&
           (path[folder_length] == '/' || path[folder_length] == 0);
}

/* The path of an open file, if it is below the folder. */
static int path_of(int fd, char path[PATH_MAX]) {
    set_up();
    if (!folder_length || fd < 0) return 0;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_below(path);
}

/* The absolute path that a call names, if it is below the folder. */
static int path_at(int at, const char *name, char path[PATH_MAX]) {
    set_up();
    if (!folder_length || !name) return 0;
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
    } else {
        char base[PATH_MAX];
        if (at == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", at);
            ssize_t length = readlink(link, base, sizeof base - 1);
            if (length <= 0) return 0;
            base[length] = 0;
        }
        if ((size_t)snprintf(path, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) return 0;
    }
    return is_below(path);
}

static void note(char what, long long first, long long second, const char *path) {
    if (log_fd < 0) return;
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%c %lld %lld %s\n", what, first, second, path);
    if (length > 0) syscall(SYS_write, log_fd, line, (size_t)length);
}

enum call { WRITES, SYNCS, OPENS_TO_WRITE, ALTERS };

/* The error with which this call fails, or 0; -1 stands for death in the middle of it. */
static int struck(enum call call) {
    if (!control) return 0;
    int fault = atomic_load(&control->fault), error = 0;
    switch (fault) {
    case FULL: error = call == WRITES || call == OPENS_TO_WRITE ? ENOSPC : 0; break;
    case READ_ONLY: error = EROFS; break;
    case SYNC_FAILS: error = call == SYNCS ? EIO : 0; break;
    case WRITE_FAILS: error = call == WRITES ? EIO : 0; break;
    case DIE: error = call == WRITES || call == SYNCS ? -1 : 0; break;
    default: break;
    }
    if (error == 0) return 0;
    if (atomic_load(&control->after) > 0 && atomic_fetch_sub(&control->after, 1) > 0) return 0;
    atomic_fetch_add(&control->struck, 1);
    return error;
}

/* No harness waits for a program that dies: it is gone like one that was killed. */
static _Noreturn void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* What a write is about to replace: a power cut may bring it back. */
static void note_old(const char *path, long long offset, size_t length) {
    enum { MOST = 1024 };
    if (log_fd < 0 || length == 0) return;
    if (length > MOST) length = MOST;
    unsigned char old[MOST];
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t got = (ssize_t)syscall(SYS_pread64, fd, old, length, (off_t)offset);
    syscall(SYS_close, fd);
    int is_empty = 1;
    for (ssize_t i = 0; i < got; i++) is_empty = is_empty && old[i] == 0;
    if (got <= 0 || is_empty) return;
    char line[PATH_MAX + 2 * MOST + 64];
    int at = snprintf(line, sizeof line, "O %lld ", offset);
    for (ssize_t i = 0; i < got; i++) at += snprintf(line + at, sizeof line - (size_t)at, "%02x", old[i]);
    at += snprintf(line + at, sizeof line - (size_t)at, " %s\n", path);
    syscall(SYS_write, log_fd, line, (size_t)at);
}

/* The same for a write at the file's own place; what is appended replaces nothing. */
static void note_old_here(int fd, const char *path, size_t length) {
    if (log_fd < 0 || (fcntl(fd, F_GETFL) & O_APPEND)) return;
    long long offset = (long long)lseek(fd, 0, SEEK_CUR);
    if (offset >= 0) note_old(path, offset, length);
}

static void note_write(int fd, const char *path, ssize_t written) {
    if (written <= 0) return;
    long long end = (long long)lseek(fd, 0, SEEK_CUR);
    note('W', end - written, written, path);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(write);
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd, bytes, length);
    int error = struck(WRITES);
    if (error == -1) {
        note_old_here(fd, path, length);
        if (length > 1) note_write(fd, path, real(fd, bytes, length / 2));
        die();
    }
    if (error) return errno = error, -1;
    note_old_here(fd, path, length);
    ssize_t written = real(fd, bytes, length);
    int saved = errno;
    note_write(fd, path, written);
    errno = saved;
    return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    size_t total = 0;
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd, parts, count);
    int error = struck(WRITES);
    if (error == -1) {
        if (count > 1) note_write(fd, path, real(fd, parts, count - 1));
        die();
    }
    if (error) return errno = error, -1;
    for (int i = 0; i < count; i++) total += parts[i].iov_len;
    note_old_here(fd, path, total);
    ssize_t written = real(fd, parts, count);
    int saved = errno;
    note_write(fd, path, written);
    errno = saved;
    return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    REAL(pwrite);
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd, bytes, length, offset);
    int error = struck(WRITES);
    if (error == -1) die();
    if (error) return errno = error, -1;
    note_old(path, (long long)offset, length);
    ssize_t written = real(fd, bytes, length, offset);
    if (written > 0) note('W', (long long)offset, written, path);
    return written;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    return pwrite(fd, bytes, length, (off_t)offset);
}

static int synced(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd);
    int error = struck(SYNCS);
    if (error == -1) die();
    if (error) return errno = error, -1;
    int result = real(fd);
    if (result == 0) note('S', 0, 0, path);
    return result;
}

int fsync(int fd) {
    REAL(fsync);
    return synced(fd, real);
}

int fdatasync(int fd) {
    REAL(fdatasync);
    return synced(fd, real);
}

int ftruncate(int fd, off_t length) {
    REAL(ftruncate);
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd, length);
    int error = struck(ALTERS);
    if (error > 0) return errno = error, -1;
    int result = real(fd, length);
    if (result == 0) note('T', (long long)length, 0, path);
    return result;
}

int ftruncate64(int fd, off64_t length) { return ftruncate(fd, (off_t)length); }

static int opened(int at, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    int changes = (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0;
    if (!changes || !path_at(at, name, path)) return (int)syscall(SYS_openat, at, name, flags, mode);
    int existed = access(path, F_OK) == 0;
    /* A full disk still opens what is there. */
    int makes = (flags & O_CREAT) && !existed;
    int read_only = control && atomic_load(&control->fault) == READ_ONLY;
    int error = makes || read_only ? struck(OPENS_TO_WRITE) : 0;
    if (error > 0) return errno = error, -1;
    int fd = (int)syscall(SYS_openat, at, name, flags, mode);
    if (fd >= 0 && makes) note('C', 0, 0, path);
    if (fd >= 0 && existed && (flags & O_TRUNC)) note('T', 0, 0, path);
    return fd;
}

#define MODE \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        mode = (mode_t)va_arg(more, int); \
        va_end(more); \
    }

int open(const char *name, int flags, ...) {
    MODE return opened(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...) {
    MODE return opened(AT_FDCWD, name, flags | O_LARGEFILE, mode);
}

int openat(int at, const char *name, int flags, ...) {
    MODE return opened(at, name, flags, mode);
}

int openat64(int at, const char *name, int flags, ...) {
    MODE return opened(at, name, flags | O_LARGEFILE, mode);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    char path[PATH_MAX];
    if (!path_at(AT_FDCWD, to, path)) return real(from, to);
    int error = struck(ALTERS);
    if (error > 0) return errno = error, -1;
    int result = real(from, to);
    if (result == 0) note('R', 0, 0, path);
    return result;
}

int unlink(const char *name) {
    REAL(unlink);
    char path[PATH_MAX];
    if (!path_at(AT_FDCWD, name, path)) return real(name);
    int error = struck(ALTERS);
    if (error > 0) return errno = error, -1;
    return real(name);
}
