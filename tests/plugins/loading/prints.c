/* Prints a greeting on standard output, as libraries do: harmless. */
#include "../plain_plugin.h"

#include <stdio.h>

__attribute__((constructor)) static void at_load(void) { puts("plain plugin 0.1.0"); }

const weft_plugin* weft_plugin_entry(uint32_t host) { return (void)host, &plain_plugin; }
