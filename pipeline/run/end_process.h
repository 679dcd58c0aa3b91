/// Ends the process at once, however much memory it has.
///
/// The kernel takes 0.1 to 0.2 seconds to give back a gigabyte, more if it is that of a file that has been removed, and whoever
/// waits for the process waits for that too: too long for Ctrl-C while a large model is being packed. So a second process that
/// shares the memory outlives this one, and gives it back when nobody waits.
#ifndef WEFT_PIPELINE_RUN_END_PROCESS_H
#define WEFT_PIPELINE_RUN_END_PROCESS_H

namespace weft {

/// As _exit(code): nothing is flushed, no destructor runs. From any thread.
[[noreturn]] void end_process_at_once(int code);

}  // namespace weft
#endif
