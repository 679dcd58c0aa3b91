#include "pipeline/cli/report.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/terminal.h"

namespace weft::cli {
namespace {

// The state of the process's standard output, not of an object.
std::atomic<bool> output_failed{false};

void print_error_line(const std::string& text) { write_all(STDERR_FILENO, text + "\n"); }

}  // namespace

std::string error_text(const Error& error, size_t width) {
  const size_t columns = width == 0 ? static_cast<size_t>(-1) : width;
  std::string first = "weft: ";
  if (!error.where.empty()) first += error.where + ": ";
  first += error.message.empty() ? to_string(error.code) : error.message;
  std::string text = wrap(without_controls(first), columns, 2);
  const auto add = [&](const char* label, const std::string& value) {
    if (!value.empty()) text += "\n" + wrap("  " + std::string(label) + without_controls(value), columns, 4);
  };
  add("expected: ", error.expected);
  add("got: ", error.got);
  add("", error.hint);
  return text;
}

int report_error(const Error& error) {
  const Terminal terminal(STDERR_FILENO);
  print_error_line(error_text(error, terminal.interactive() ? terminal.width() : 0));
  return exit_code_for(error.code);
}

int report_error(const Status& status) { return report_error(status.error()); }

Error without_pipeline_places(Error error) {
  const auto is_place = [](std::string_view part) {
    const size_t last = part.find_last_not_of("0123456789");
    const bool line_and_column =
        last != part.npos && last + 1 < part.size() && part[last] == ':' && part.find('/') == part.npos;
    const bool element = part.starts_with("element ") && last + 1 == std::string_view("element ").size();
    return line_and_column || element || part.starts_with("node '") || part.starts_with("model '");
  };
  for (size_t end = 0; !error.where.empty(); error.where.erase(0, end + 2)) {
    end = error.where.find(", ");
    if (!is_place(std::string_view(error.where).substr(0, end))) break;
    if (end == std::string::npos) {
      error.where.clear();
      break;
    }
  }
  return error;
}

int report_usage(std::string_view command, std::string_view message) {
  std::string text = "weft: " + without_controls(message) + "\n  see: weft ";
  if (!command.empty()) text += std::string(command) + " ";
  print_error_line(text + "--help");
  return kUsage;
}

void report_warning(std::string_view message) { print_error_line("warning: " + without_controls(message)); }

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {  // someone made the terminal non-blocking
      pollfd wait{fd, POLLOUT, 0};
      poll(&wait, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

void print(std::string_view text) {
  if (!output_failed && !write_all(STDOUT_FILENO, text)) output_failed = true;
}

bool printing_failed() { return output_failed; }

void print_wrapped(std::string_view text, size_t indent) {
  const Terminal terminal(STDOUT_FILENO);
  print((terminal.interactive() ? wrap(text, terminal.width(), indent) : std::string(text)) + "\n");
}

}  // namespace weft::cli
