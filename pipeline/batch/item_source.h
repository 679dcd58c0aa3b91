/// Where the items of a batch come from: JSON lines, CSV, a folder of files, a grid of parameters.
///
///   JSON lines  one object a line, its members are inputs; empty lines are passed over
///   CSV         the first row names the inputs; texts as they are, other types as JSON; RFC 4180
///   folder      one item a regular file, in byte order of the names, hidden ones left out; the file's path is the value of
///               the pipeline's only input of type path, its name the item's id
///   grid        each item of another source, or of none, once for every combination of values
///
/// A member or column "id" that is no input of the pipeline names the item. A relative path in an input of type path starts
/// at the folder of the items file, if the file is there; else, as in the pipeline, at the pipeline's.
/// Ownership: a source refers to the Graph, which outlives it. Thread safety: one thread.
///
///   auto source = open_items("prompts.jsonl", graph);
///   for (auto item = (*source)->next(); item.ok() && *item; item = (*source)->next()) use(**item);
#ifndef WEFT_PIPELINE_BATCH_ITEM_SOURCE_H
#define WEFT_PIPELINE_BATCH_ITEM_SOURCE_H

#include <weft/sdk/status.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/graph/graph.h"
#include "pipeline/run/run.h"

namespace weft {

/// An item as its source has it: not yet checked against the pipeline.
struct SourceItem {
  std::string id;     // empty: it has none
  std::string place;  // "items.jsonl:17"
  std::map<std::string, InputValue> inputs;
  std::vector<std::string> matrix;  // what a grid chose for this item, an axis each
  std::optional<Error> error;       // it could not be read; the others can
};

class ItemSource {
 public:
  virtual ~ItemSource() = default;
  /// Nothing after the last one. Errors: the whole source is bad from here on.
  virtual Result<std::optional<SourceItem>> next() = 0;
};

/// items: a file that ends in .csv, a folder, "INPUT=folder" to say which input takes the files, "-" for JSON lines on
/// standard input, or any other file, with JSON lines.
/// Errors: kNotFound, kPermissionDenied, kIoError; kInvalidArgument for a CSV without a heading or with a column that is no
/// input, and for a folder where the pipeline does not have exactly one input of type path.
Result<std::unique_ptr<ItemSource>> open_items(const std::string& items, const Graph& graph);

/// One axis of a grid.
struct MatrixAxis {
  std::string input;
  std::vector<std::string> values;  // as --set gives them
};
inline constexpr int64_t kMaxAxisValues = 1'000'000;
/// "seed=1..100", "cfg=4,7", "style=ink,oil": whole numbers from..to, both included, or values with commas between.
/// Errors: kInvalidArgument; kOutOfRange beyond kMaxAxisValues.
Result<MatrixAxis> parse_matrix_axis(const std::string& text, const Graph& graph);
/// Each item of `inner` with every combination; the last axis changes fastest. inner may be null: one item without inputs.
/// Errors: kInvalidArgument if two axes set the same input.
Result<std::unique_ptr<ItemSource>> expand_matrix(std::unique_ptr<ItemSource> inner,
                                                  std::vector<MatrixAxis> axes);

}  // namespace weft
#endif
