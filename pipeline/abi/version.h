/* The version of the plugin contract. While the major version is 0, host and plugin must be built with equal minor
 * versions; from 1 on, a host serves every plugin of its major version. */
#ifndef WEFT_ABI_VERSION_H
#define WEFT_ABI_VERSION_H

#include <stdint.h>

#define WEFT_ABI_VERSION_MAJOR 0
#define WEFT_ABI_VERSION_MINOR 6
#define WEFT_ABI_VERSION ((uint32_t)((WEFT_ABI_VERSION_MAJOR << 16) | WEFT_ABI_VERSION_MINOR))

#endif
