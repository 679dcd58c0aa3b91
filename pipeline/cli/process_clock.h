/// When this process began, on the clock that nodes report times with.
#ifndef WEFT_PIPELINE_CLI_PROCESS_CLOCK_H
#define WEFT_PIPELINE_CLI_PROCESS_CLOCK_H

#include <cstdint>

namespace weft::cli {

/// CLOCK_MONOTONIC in nanoseconds at which the system started the process, loading of the program and its libraries
/// included. The system counts in ticks of 10 ms and rounds down. The time of the call if /proc cannot be read.
int64_t process_start_monotonic_ns();

/// The most physical memory that the process has had, in bytes.
uint64_t peak_resident_bytes();

}  // namespace weft::cli
#endif
