/* A disk that forgets what was not synced, as a library for LD_PRELOAD.
 *
 * It watches the calls that a process makes on files below WEFT_DISK_ROOT and keeps in WEFT_DISK_SHADOW what a power
 * failure would leave in the worst case: of each file the content at its last fsync or fdatasync, of each folder the names at
 * its last fsync. torture.py makes a folder of that. What stdio writes by itself is not seen as calls, but as content at
 * the next sync. A test program; not thread safe against fork.
 *
 *   WEFT_DISK_MATCH=journal   count only calls on files whose names begin so; default: all
 *   WEFT_DISK_CRASH_AT=N      kill the process with SIGKILL instead of the Nth counted call
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
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX], shadow[PATH_MAX];
static const char* match = "";
static long counted, crash_at = -1, fail_at = -1, fail_from = -1, clock_looks, clock_jump_at = -1;
static int fail_errno = EIO;

static long number(const char* name) {
  const char* text = getenv(name);
  return text && *text ? atol(text) : -1;
}

__attribute__((constructor)) static void begin(void) {
  const char* given = getenv("WEFT_DISK_ROOT");
  if (given) snprintf(root, sizeof root, "%s", given);
  if (getenv("WEFT_DISK_SHADOW")) snprintf(shadow, sizeof shadow, "%s", getenv("WEFT_DISK_SHADOW"));
  if (getenv("WEFT_DISK_MATCH")) match = getenv("WEFT_DISK_MATCH");
  crash_at = number("WEFT_DISK_CRASH_AT");
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

static int path_of(int fd, char* result) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, result, PATH_MAX - 1);
  if (size < 0) return 0;
  result[size] = '\0';
  char* deleted = strstr(result, " (deleted)");
  if (deleted) *deleted = '\0';
  return is_watched(result);
}

enum { kAdds = 0, kRemoves = 1 };

/* Counts a call on a watched path, with the mutex held. Not 0: the call has to fail with errno set. */
static int counts(const char* path, int removes) {
  const char* name = strrchr(path, '/');
  if (strncmp(name ? name + 1 : path, match, strlen(match)) != 0) return 0;
  ++counted;
  if (counted == crash_at) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  const int frees_space = removes && fail_errno == ENOSPC;
  if (!frees_space && (counted == fail_at || (fail_from > 0 && counted >= fail_from))) {
    errno = fail_errno;
    return 1;
  }
  return 0;
}

static void write_whole(int fd, const char* data, size_t size) {
  while (size > 0) {
    const long written = syscall(SYS_write, fd, data, size);
    if (written <= 0) abort();
    data += written;
    size -= (size_t)written;
  }
}

static unsigned long inode_of(const char* path) {
  struct stat status;
  return lstat(path, &status) == 0 ? (unsigned long)status.st_ino : 0;
}

/* Adds a line to the list of what happened to names in folders, which are told apart by their numbers, since a folder may be
 * removed and made anew: '+' a file, 'd' a folder, '-' removed, 's' the folder was synced. */
static void note(char kind, const char* path) {
  if (!*shadow) return;
  char file[PATH_MAX + 16], line[2 * PATH_MAX], folder[PATH_MAX];
  const char* name = strrchr(path, '/') + 1;
  snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
  snprintf(file, sizeof file, "%s/names", shadow);
  const int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) abort();
  const int length = snprintf(line, sizeof line, "%c %lu %lu %s\n", kind,
                              inode_of(kind == 's' ? path : folder), inode_of(path), name);
  write_whole(fd, line, (size_t)length);
  syscall(SYS_close, fd);
}

/* A file system may give a new file the number of one that was removed. */
static void forget_content(unsigned long inode) {
  char file[PATH_MAX + 64];
  snprintf(file, sizeof file, "%s/content-%lu", shadow, inode);
  if (*shadow) syscall(SYS_unlinkat, AT_FDCWD, file, 0);
}

/* Keeps the content of a file as it is now. */
static void keep_content(int fd, unsigned long inode) {
  char file[PATH_MAX + 64], temporary[PATH_MAX + 64], link[64], block[1 << 16];
  snprintf(file, sizeof file, "%s/content-%lu", shadow, inode);
  snprintf(temporary, sizeof temporary, "%s/copying", shadow);
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const int from = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
  const int to =
      (int)syscall(SYS_openat, AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (from < 0 || to < 0) abort();
  for (;;) {
    const long size = syscall(SYS_read, from, block, sizeof block);
    if (size < 0) abort();
    if (size == 0) break;
    write_whole(to, block, (size_t)size);
  }
  syscall(SYS_close, from);
  syscall(SYS_close, to);
  syscall(SYS_renameat2, AT_FDCWD, temporary, AT_FDCWD, file, 0);
}

static int synced(int fd) {
  char path[PATH_MAX];
  if (!path_of(fd, path)) return (int)syscall(SYS_fsync, fd);
  pthread_mutex_lock(&mutex);
  int result = counts(path, kAdds) ? -1 : 0;
  struct stat status;
  if (result == 0 && *shadow && fstat(fd, &status) == 0) {
    if (S_ISDIR(status.st_mode)) note('s', path);
    else keep_content(fd, (unsigned long)status.st_ino);
  }
  pthread_mutex_unlock(&mutex);
  return result;
}

int fsync(int fd) { return synced(fd); }
int fdatasync(int fd) { return synced(fd); }

static int opened(int folder, const char* path, int flags, mode_t mode) {
  char full[PATH_MAX];
  if (!(flags & O_CREAT) || !absolute(folder, path, full) || !is_watched(full)) {
    return (int)syscall(SYS_openat, folder, path, flags, mode);
  }
  pthread_mutex_lock(&mutex);
  const int is_new = inode_of(full) == 0;
  int fd = counts(full, kAdds) ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
  if (fd >= 0 && is_new) forget_content(inode_of(full));
  if (fd >= 0 && is_new) note('+', full);
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

static int may_write(int fd) {
  char path[PATH_MAX];
  if (!path_of(fd, path)) return 1;
  pthread_mutex_lock(&mutex);
  const int failed = counts(path, kAdds);
  const int error = errno;
  pthread_mutex_unlock(&mutex);
  errno = error;
  return !failed;
}

ssize_t write(int fd, const void* data, size_t size) {
  return may_write(fd) ? syscall(SYS_write, fd, data, size) : -1;
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  return may_write(fd) ? syscall(SYS_pwrite64, fd, data, size, offset) : -1;
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  return may_write(fd) ? syscall(SYS_pwrite64, fd, data, size, offset) : -1;
}
int ftruncate(int fd, off_t size) { return may_write(fd) ? (int)syscall(SYS_ftruncate, fd, size) : -1; }
int ftruncate64(int fd, off64_t size) { return may_write(fd) ? (int)syscall(SYS_ftruncate, fd, size) : -1; }

int mkdir(const char* path, mode_t mode) {
  char full[PATH_MAX];
  if (!absolute(AT_FDCWD, path, full) || !is_watched(full))
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
  pthread_mutex_lock(&mutex);
  const int result = counts(full, kAdds) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
  if (result == 0) note('d', full);
  pthread_mutex_unlock(&mutex);
  return result;
}

int rename(const char* from, const char* to) {
  char full_from[PATH_MAX], full_to[PATH_MAX];
  if (!absolute(AT_FDCWD, from, full_from) || !absolute(AT_FDCWD, to, full_to) || !is_watched(full_to)) {
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  }
  pthread_mutex_lock(&mutex);
  const int result =
      counts(full_to, kAdds) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  if (result == 0) {
    note('-', full_from);
    note('+', full_to);
  }
  pthread_mutex_unlock(&mutex);
  return result;
}

static int removed(int folder, const char* path, int flags) {
  char full[PATH_MAX];
  if (!absolute(folder, path, full) || !is_watched(full))
    return (int)syscall(SYS_unlinkat, folder, path, flags);
  pthread_mutex_lock(&mutex);
  const int result = counts(full, kRemoves) ? -1 : (int)syscall(SYS_unlinkat, folder, path, flags);
  if (result == 0) note('-', full);
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
