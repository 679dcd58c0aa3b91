/* The host's threads, handed to whoever computes: one pool for the whole process.
 *
 * A computation runs as a team: run() calls body once on each of n threads at the same moment, the caller being thread
 * 0, and returns when all have returned. The host chooses n between 1 and max_threads, fewer when other nodes compute
 * at the same time; results must not depend on it. Teams do not nest: run() inside a body calls it with n = 1.
 * Thread safety: run() may be called by any number of threads. A body must not throw. */
#ifndef WEFT_ABI_EXECUTOR_H
#define WEFT_ABI_EXECUTOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_team {
  uint32_t struct_size;
  uint32_t thread;    /* 0 to n_threads - 1 */
  uint32_t n_threads; /* the same on every thread of the team */
  uint32_t reserved;
  void* state; /* the host's */
  /* Waits until every thread of the team has called it as often. [worker] [no-alloc] */
  void (*barrier)(const struct weft_team* team);
} weft_team;

typedef struct weft_executor {
  uint32_t struct_size;
  uint32_t max_threads;
  void* self; /* the host's; passed back as the first argument */
  /* [worker] [no-alloc] */
  void (*run)(void* self, void (*body)(void* arg, const weft_team* team), void* arg);
} weft_executor;

#ifdef __cplusplus
}
#endif
#endif
