/// Ctrl-C and SIGTERM for a program that runs pipelines.
///
/// Construct one in main before any thread is started: it blocks SIGINT and SIGTERM, which all later threads
/// inherit, and waits for them in a thread of its own. On a signal `on_signal` is called (cancel a token,
/// say). If the program has not ended 150 ms later, whatever its nodes are doing, the temporaries are removed
/// and the process ends with 128 + signal: 130 for SIGINT, 143 for SIGTERM. A second signal does that at
/// once. The destructor gives the signals back their former effect.
#ifndef WEFT_PIPELINE_RUN_INTERRUPT_H
#define WEFT_PIPELINE_RUN_INTERRUPT_H

#include <functional>
#include <memory>

#include "pipeline/files/durable_file.h"

namespace weft {

class Interrupt {
 public:
  enum class Then { kEndProcess, kGoOn };
  /// on_signal gets the signal's number and says what is next: kGoOn (chat) leaves the process alive. It runs
  /// in the signal thread and must return promptly.
  Interrupt(TemporaryFiles& temporaries, std::function<Then(int)> on_signal);
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  /// The signal that asked the process to end, or 0. Exit with 128 + it.
  int signal_number() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
