/// The names of the checks, in the order in which reports list them. docs/write_a_plugin.md says what each one tries.
#ifndef WEFT_PIPELINE_CHECK_CHECKS_H
#define WEFT_PIPELINE_CHECK_CHECKS_H

namespace weft::checks {

inline constexpr char kDescriptor[] =
    "descriptor";  // loads, right ABI version, every rule of validate_descriptor
inline constexpr char kExecution[] = "execution";    // creates, prepares and answers; no crash, no exit
inline constexpr char kExceptions[] = "exceptions";  // none crosses the C boundary
inline constexpr char kErrors[] = "errors";          // a failure says what went wrong
inline constexpr char kRequests[] =
    "requests";                              // each completed once; outputs of the declared type and bounds
inline constexpr char kMemory[] = "memory";  // nothing written outside of buffers and workspace
inline constexpr char kReferences[] = "references";    // none leaked, none given back twice
inline constexpr char kDeterminism[] = "determinism";  // equal results again, with another number of threads
inline constexpr char kBatching[] = "batching";        // a result does not depend on its neighbours
inline constexpr char kCancellation[] = "cancellation";  // stops within 100 ms

/// What weft-check-node does one after the other; a crash in one of them counts against the check of that name.
inline constexpr const char* kPasses[] = {kExecution, kDeterminism, kBatching, kCancellation};

/// Exit status of weft-check-node when the node did not come back after a cancel: said already, its thread goes on.
inline constexpr int kStuckStatus = 3;

}  // namespace weft::checks
#endif
