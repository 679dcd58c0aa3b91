/// Errors as the user reads them: one sentence that begins with "weft:", then what was expected, found, and can be done.
#ifndef WEFT_PIPELINE_CLI_REPORT_H
#define WEFT_PIPELINE_CLI_REPORT_H

#include <weft/sdk/status.h>

#include <string>
#include <string_view>
#include <vector>

namespace weft::cli {

/// The text that report_error prints, for a terminal of `width` columns; 0: lines of any length.
std::string error_text(const Error& error, size_t width);
/// Prints to standard error and returns the exit code that belongs to the error.
int report_error(const Error& error);
int report_error(const Status& status);
/// The error of a pipeline that a command wrote itself, without the places in it ("chat:1:102, node 'chat'"), which the
/// user has never seen.
Error without_pipeline_places(Error error);
/// A mistake on the command line: prints it with where to read on, returns kUsage.
int report_usage(std::string_view command, std::string_view message);
/// "warning: ..." on standard error.
void report_warning(std::string_view message);

/// Writes all of `text` to a descriptor. False if that failed; a closed pipe counts as that.
bool write_all(int fd, std::string_view text);
/// To standard output; remembers a failure, which main() turns into kInputOutput.
void print(std::string_view text);
bool printing_failed();
/// Prints one entry and a line feed. On a terminal it is broken at blanks to fit, further lines begin with `indent` blanks;
/// elsewhere, where programs read, it stays whole.
void print_wrapped(std::string_view text, size_t indent);

}  // namespace weft::cli
#endif
