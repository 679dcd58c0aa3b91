/* Writes to every file descriptor it can reach, then ends: what arrives is not a description. */
#include "../plain_plugin.h"

#include <unistd.h>

__attribute__((constructor)) static void at_load(void) {
  static const char text[] = "{\"hello\": \"I am a plugin\"}\n";
  for (int fd = 1; fd < 8; ++fd) {
    if (write(fd, text, sizeof text - 1) < 0) continue;
  }
}

const weft_plugin* weft_plugin_entry(uint32_t host) { return (void)host, &plain_plugin; }
