/// What is wrong with a pipeline file, and where: one Diagnostic per mistake, all mistakes of a file at once.
///
/// Plain values. Thread safety: no shared state.
///
///   for (const Diagnostic& diagnostic : parsed.diagnostics) std::cerr << to_text(diagnostic, Excerpt::kShow);
///   hello.json:6:31: error: unknown parameter 'max_token' of text.generate; did you mean 'max_tokens'?
///       "with": { "model": "writer", "max_token": 40 } },
///                                    ^
#ifndef WEFT_PIPELINE_GRAPH_DIAGNOSTIC_H
#define WEFT_PIPELINE_GRAPH_DIAGNOSTIC_H

#include <weft/sdk/status.h>

#include <string>
#include <string_view>
#include <vector>

#include "pipeline/graph/graph.h"

namespace weft {

struct Diagnostic {
  enum class Severity { kError, kWarning };
  Severity severity = Severity::kError;
  std::string file;  // as the user gave it
  SourcePosition position;
  std::string pointer;          // JSON pointer (RFC 6901) of the value, "" for the whole file
  std::string message;          // a sentence without its end: "unknown node 'idee'"
  std::string expected;         // "an integer from 1 to 100"; may be empty
  std::string nearest;          // the known name that was probably meant; may be empty
  std::string hint;             // what to do; may be empty
  std::string excerpt;          // the line, cut to about 100 bytes around the place; may be empty
  uint32_t excerpt_column = 0;  // where in the excerpt the place is, in bytes from 0
};

enum class Excerpt { kHide, kShow };

/// "file:line:column: error: message (expected ...); did you mean '...'?; hint" and a line feed; with kShow also the
/// excerpt and a line with a caret below the place. Control characters are written as escapes.
std::string to_text(const Diagnostic& diagnostic, Excerpt excerpt);

/// One JSON object: file, line, column, severity, pointer, message, and expected, nearest, hint where there are any.
std::string to_json(const Diagnostic& diagnostic);

bool has_errors(const std::vector<Diagnostic>& diagnostics);

/// All errors as one, for callers that can only hand on a Status: the first one's text, and how many more there are.
/// Precondition: has_errors.
Status to_status(const std::vector<Diagnostic>& diagnostics);

/// The known name that is most like `name`: at most a third of the longer one's bytes differ, swapped neighbours counting
/// once. "" if none is. Ties: the first. Time: |name| times the known names of similar length.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

}  // namespace weft
#endif
