/* Leaves a process behind that holds every pipe open. */
#include "../plain_plugin.h"

#include <unistd.h>

__attribute__((constructor)) static void at_load(void) {
  if (fork() == 0) {
    sleep(600);
    _exit(0);
  }
}

const weft_plugin* weft_plugin_entry(uint32_t host) { return (void)host, &plain_plugin; }
