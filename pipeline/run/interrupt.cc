#include "pipeline/run/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <utility>

#include "pipeline/run/end_process.h"

namespace weft {
namespace {

constexpr long kGraceNanoseconds = 150'000'000;

sigset_t watched_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

struct Interrupt::State {
  State(TemporaryFiles& given_temporaries, std::function<Then(int)> given_handler)
      : temporaries(given_temporaries), on_signal(std::move(given_handler)) {}

  void watch();
  [[noreturn]] void end_process(int signal) {
    temporaries.remove_all_and_close();
    end_process_at_once(128 + signal);
  }

  TemporaryFiles& temporaries;
  std::function<Then(int)> on_signal;
  sigset_t before{};
  std::atomic<int> signal_number{0};
  std::atomic<bool> stopping{false};
  std::thread thread;
};

void Interrupt::State::watch() {
  const sigset_t signals = watched_signals();
  for (;;) {
    int signal = 0;
    if (::sigwait(&signals, &signal) != 0) continue;
    if (stopping.load()) return;  // woken by the destructor
    if (on_signal(signal) == Then::kGoOn) continue;
    signal_number.store(signal);
    // The program may end by itself within the grace; a second signal cuts it short.
    timespec grace{0, kGraceNanoseconds};
    ::sigtimedwait(&signals, nullptr, &grace);
    if (stopping.load()) return;
    end_process(signal);
  }
}

Interrupt::Interrupt(TemporaryFiles& temporaries, std::function<Then(int)> on_signal)
    : state_(std::make_unique<State>(temporaries, std::move(on_signal))) {
  const sigset_t signals = watched_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, &state_->before);
  state_->thread = std::thread([state = state_.get()] { state->watch(); });
}

Interrupt::~Interrupt() {
  state_->stopping.store(true);
  ::pthread_kill(state_->thread.native_handle(), SIGTERM);
  state_->thread.join();
  ::pthread_sigmask(SIG_SETMASK, &state_->before, nullptr);
}

int Interrupt::signal_number() const { return state_->signal_number.load(); }

}  // namespace weft
