/* A disk that notes what is done to it and that fails when it is told to, as a library for LD_PRELOAD.
 *
 * It watches the calls that a process makes on files below WEFT_DISK_ROOT and appends each one that succeeded to
 * WEFT_DISK_LOG, with its data; disk_replay.py makes of that what a loss of power after any of them would leave. A call and
 * its note are one step: no other thread's call comes between. What stdio writes by itself is not seen as calls; of files
 * up to 64 KiB their content is noted when they are synced. Syncs are only noted: nothing here outlives the machine.
 * A test program; not thread safe against fork.
 *
 *   WEFT_DISK_FAIL_AT=N       let the Nth counted call fail with errno WEFT_DISK_ERRNO
 *   WEFT_DISK_FAIL_FROM=N     and all counted calls after it
 *   WEFT_DISK_COUNT=FILE      write there how many calls were counted, when the process exits
 *   WEFT_CLOCK_JUMP_AT=N      from the Nth look at the wall clock on, it is a day earlier
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static int log_fd = -1;
static long counted, fail_at = -1, fail_from = -1, clock_looks, clock_jump_at = -1;
static int fail_errno = EIO;

static long number(const char* name) {
  const char* text = getenv(name);
  return text && *text ? atol(text) : -1;
}

__attribute__((constructor)) static void begin(void) {
  const char *given = getenv("WEFT_DISK_ROOT"), *log = getenv("WEFT_DISK_LOG");
  if (given) snprintf(root, sizeof root, "%s", given);
  if (log) {
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log_fd < 0) abort();
  }
  fail_at = number("WEFT_DISK_FAIL_AT");
  fail_from = number("WEFT_DISK_FAIL_FROM");
  clock_jump_at = number("WEFT_CLOCK_JUMP_AT");
  if (number("WEFT_DISK_ERRNO") > 0) fail_errno = (int)number("WEFT_DISK_ERRNO");
}

__attribute__((destructor)) static void end(void) {
  const char* file = getenv("WEFT_DISK_COUNT");
  FILE* stream = file ? fopen(file, "w") : NULL;
  if (!stream) return;
  fprintf(stream, "%ld\n", counted);
  fclose(stream);
}

static int is_watched(const char* path) {
  const size_t size = strlen(root);
  return size > 0 && strncmp(path, root, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

static int absolute(int folder, const char* path, char* result) {
  if (path[0] == '/') return snprintf(result, PATH_MAX, "%s", path) < PATH_MAX;
  char base[PATH_MAX], link[64];
  if (folder == AT_FDCWD) {
    if (!getcwd(base, sizeof base)) return 0;
  } else {
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    const ssize_t size = readlink(link, base, sizeof base - 1);
    if (size < 0) return 0;
    base[size] = '\0';
  }
  return snprintf(result, PATH_MAX, "%s/%s", base, path) < PATH_MAX;
}

/* Whether the descriptor is a file below the root that still has a name. */
static int path_of(int fd, char* result) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, result, PATH_MAX - 1);
  if (size < 0) return 0;
  result[size] = '\0';
  return is_watched(result) && !strstr(result, " (deleted)");
}

enum { kAdds = 0, kRemoves = 1 };

/* Counts a call, with the mutex held. Not 0: the call has to fail with errno set. */
static int counts(int removes) {
  ++counted;
  const int frees_space = removes && fail_errno == ENOSPC;
  if (!frees_space && (counted == fail_at || (fail_from > 0 && counted >= fail_from))) {
    errno = fail_errno;
    return 1;
  }
  return 0;
}

/* The log: a header, the path below the root, the data. Little-endian. */
struct header {
  char
      kind; /* c: file created, d: folder created, w: written, t: cut to a size, r: renamed, x: removed, s: synced,
                     o: said on standard output */
  uint8_t unused;
  uint16_t path_size;
  uint32_t unused_too;
  uint64_t at;   /* c, d: number of the new file; w: offset; t: size */
  uint64_t size; /* of the data. w, o: what was written; r: the new path; s: the content of a small file */
};

/* With the mutex held. Keeps errno. */
static void note(char kind, const char* path, uint64_t at, const void* data, size_t size) {
  if (log_fd < 0) return;
  const int error = errno;
  const size_t root_size = strlen(root);
  if (is_watched(path)) path += path[root_size] == '/' ? root_size + 1 : root_size;
  struct header header = {kind, 0, (uint16_t)strlen(path), 0, at, size};
  struct iovec parts[3] = {{&header, sizeof header}, {(char*)path, header.path_size}, {(void*)data, size}};
  if (syscall(SYS_writev, log_fd, parts, 3) != (long)(sizeof header + header.path_size + size)) abort();
  errno = error;
}

static uint64_t inode_of(const char* path) {
  struct stat status;
  return lstat(path, &status) == 0 ? status.st_ino : 0;
}

static void note_sync(const char* path, int fd) {
  static char content[1 << 16];
  struct stat status;
  size_t size = 0;
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= (off_t)sizeof content) {
    const int from = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    const long got = from < 0 ? -1 : syscall(SYS_read, from, content, sizeof content);
    if (got < 0) abort();
    size = (size_t)got;
    syscall(SYS_close, from);
  }
  note('s', path, 0, content, size);
}

static int synced(int fd) {
  char path[PATH_MAX];
  pthread_mutex_lock(&mutex);
  int result = 0;
  if (!path_of(fd, path)) {
    result = (int)syscall(SYS_fsync, fd);
  } else {
    result = counts(kAdds) ? -1 : 0;
    if (result == 0) note_sync(path, fd);
  }
  pthread_mutex_unlock(&mutex);
  return result;
}

int fsync(int fd) { return synced(fd); }
int fdatasync(int fd) { return synced(fd); }

static int opened(int folder, const char* path, int flags, mode_t mode) {
  char full[PATH_MAX];
  if (!(flags & (O_CREAT | O_TRUNC)) || !absolute(folder, path, full) || !is_watched(full)) {
    return (int)syscall(SYS_openat, folder, path, flags, mode);
  }
  pthread_mutex_lock(&mutex);
  const int is_new = inode_of(full) == 0;
  const int fd = counts(kAdds) ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
  if (fd >= 0 && is_new) note('c', full, inode_of(full), NULL, 0);
  if (fd >= 0 && !is_new && flags & O_TRUNC) note('t', full, 0, NULL, 0);
  pthread_mutex_unlock(&mutex);
  return fd;
}

#define MODE(flags, mode)                \
  mode_t mode = 0;                       \
  if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list list;                        \
    va_start(list, flags);               \
    mode = (mode_t)va_arg(list, int);    \
    va_end(list);                        \
  }

int open(const char* path, int flags, ...) {
  MODE(flags, mode)
  return opened(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  MODE(flags, mode)
  return opened(AT_FDCWD, path, flags, mode);
}
int openat(int folder, const char* path, int flags, ...) {
  MODE(flags, mode)
  return opened(folder, path, flags, mode);
}

ssize_t write(int fd, const void* data, size_t size) {
  char path[PATH_MAX];
  pthread_mutex_lock(&mutex);
  const int watched = path_of(fd, path);
  ssize_t written = -1;
  if (!watched || !counts(kAdds)) {
    const int appends = watched && fcntl(fd, F_GETFL) & O_APPEND;
    const off_t at = watched ? lseek(fd, 0, appends ? SEEK_END : SEEK_CUR) : 0;
    written = syscall(SYS_write, fd, data, size);
    if (written > 0 && watched) note('w', path, (uint64_t)at, data, (size_t)written);
    if (written > 0 && fd == STDOUT_FILENO) note('o', "", 0, data, (size_t)written);
  }
  pthread_mutex_unlock(&mutex);
  return written;
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  char path[PATH_MAX];
  pthread_mutex_lock(&mutex);
  const int watched = path_of(fd, path);
  ssize_t written = -1;
  if (!watched || !counts(kAdds)) {
    written = syscall(SYS_pwrite64, fd, data, size, offset);
    if (written > 0 && watched) note('w', path, (uint64_t)offset, data, (size_t)written);
  }
  pthread_mutex_unlock(&mutex);
  return written;
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  return pwrite(fd, data, size, offset);
}

int ftruncate(int fd, off_t size) {
  char path[PATH_MAX];
  pthread_mutex_lock(&mutex);
  const int watched = path_of(fd, path);
  const int result = watched && counts(kAdds) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
  if (result == 0 && watched) note('t', path, (uint64_t)size, NULL, 0);
  pthread_mutex_unlock(&mutex);
  return result;
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

int mkdir(const char* path, mode_t mode) {
  char full[PATH_MAX];
  if (!absolute(AT_FDCWD, path, full) || !is_watched(full))
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
  pthread_mutex_lock(&mutex);
  const int result = counts(kAdds) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
  if (result == 0) note('d', full, inode_of(full), NULL, 0);
  pthread_mutex_unlock(&mutex);
  return result;
}

int rename(const char* from, const char* to) {
  char full_from[PATH_MAX], full_to[PATH_MAX];
  if (!absolute(AT_FDCWD, from, full_from) || !absolute(AT_FDCWD, to, full_to) || !is_watched(full_to)) {
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  }
  pthread_mutex_lock(&mutex);
  const int result = counts(kAdds) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  if (result == 0) note('r', full_from, 0, full_to + strlen(root) + 1, strlen(full_to) - strlen(root) - 1);
  pthread_mutex_unlock(&mutex);
  return result;
}

static int removed(int folder, const char* path, int flags) {
  char full[PATH_MAX];
  if (!absolute(folder, path, full) || !is_watched(full))
    return (int)syscall(SYS_unlinkat, folder, path, flags);
  pthread_mutex_lock(&mutex);
  const int result = counts(kRemoves) ? -1 : (int)syscall(SYS_unlinkat, folder, path, flags);
  if (result == 0) note('x', full, 0, NULL, 0);
  pthread_mutex_unlock(&mutex);
  return result;
}

int unlink(const char* path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int folder, const char* path, int flags) { return removed(folder, path, flags); }
int rmdir(const char* path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char* path) {
  if (removed(AT_FDCWD, path, 0) == 0) return 0;
  return errno == EISDIR ? removed(AT_FDCWD, path, AT_REMOVEDIR) : -1;
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  const int result = (int)syscall(SYS_clock_gettime, clock, time);
  if (clock == CLOCK_REALTIME && clock_jump_at > 0 &&
      __atomic_add_fetch(&clock_looks, 1, __ATOMIC_RELAXED) >= clock_jump_at) {
    time->tv_sec -= 86400;
  }
  return result;
}
