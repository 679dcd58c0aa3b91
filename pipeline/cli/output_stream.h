/// The outputs of a pipeline on standard output, in the pipeline's order, each as early as it can be: the text of the
/// first output that is not complete is printed while it is made, later ones wait for their turn.
///
/// With one output its value stands alone; with several each is introduced by its name. Text that goes to a terminal is
/// shown without control characters; elsewhere bytes are kept. A text that does not end in a line feed gets one.
/// Thread safety: one thread.
#ifndef WEFT_PIPELINE_CLI_OUTPUT_STREAM_H
#define WEFT_PIPELINE_CLI_OUTPUT_STREAM_H

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weft::cli {

/// An output as the pipeline declares it.
struct StreamedOutput {
  std::string name, type;
  std::string node, port;  // whose parts it is made of; empty: a pipeline input, known at the end
};

class OutputStream {
 public:
  enum class Controls { kShown, kKept };
  using Writer = std::function<void(std::string_view)>;

  OutputStream(std::vector<StreamedOutput> outputs, Controls controls, Writer writer);

  /// A part of a text; parts of nodes that are no output are ignored.
  void part(std::string_view node, std::string_view port, std::string_view text);
  /// The node's parts so far are void. What is on the screen cannot be taken back: a line says so.
  void discard(std::string_view node);
  void node_finished(std::string_view node);
  /// The end: prints what is not printed yet. outputs_json: by name; absent for an output of a skipped node.
  void finish(const std::map<std::string, std::string>& outputs_json);
  /// Text was begun and its line is not ended.
  bool within_line() const { return within_line_; }

 private:
  struct Item {
    StreamedOutput output;
    std::string waiting;
    enum class State { kWaiting, kStreaming, kComplete } state = State::kWaiting;
    bool has_parts = false, node_done = false;
  };
  void advance();
  void write(std::string_view text);
  void end_line();
  void print_value(const Item& item, const std::string& json);

  std::vector<Item> items_;
  size_t current_ = 0;
  const Controls controls_;
  const Writer writer_;
  bool within_line_ = false;
};

}  // namespace weft::cli
#endif
