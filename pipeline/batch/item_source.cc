#include "pipeline/batch/item_source.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "pipeline/batch/csv_reader.h"
#include "pipeline/batch/line_reader.h"
#include "pipeline/files/durable_file.h"
#include "pipeline/graph/find_input.h"
#include "pipeline/graph/json_tree.h"
#include "pipeline/graph/literal.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr JsonLimits kItemLimits{LineReader::kMaxLineBytes, 64, LineReader::kMaxLineBytes, 2'000'000};

constexpr const char* kNoArray =
    "each line holds one item, without a list around them: jq -c '.[]' FILE makes such lines";

/// A path as the item's file means it.
std::string resolve_path(const std::string& given, const fs::path& folder) {
  std::error_code error;
  const fs::path beside = fs::path(given).is_absolute() ? fs::path(given) : folder / given;
  return fs::exists(beside, error) ? fs::absolute(beside).lexically_normal().string() : given;
}

class JsonLinesSource final : public ItemSource {
 public:
  JsonLinesSource(LineReader reader, std::string name, fs::path folder, const Graph& graph)
      : reader_(std::move(reader)), name_(std::move(name)), folder_(std::move(folder)), graph_(graph) {}

  Result<std::optional<SourceItem>> next() override {
    for (;;) {
      Result<std::optional<std::string>> line = reader_.next();
      if (!line.ok()) return line.status();
      if (!*line) return std::optional<SourceItem>();
      if ((*line)->find_first_not_of(" \t") == std::string::npos) continue;
      SourceItem item;
      item.place = name_ + ":" + std::to_string(reader_.line_number());
      if (Status status = read(**line, item); !status.ok()) item.error = status.error();
      return std::optional<SourceItem>(std::move(item));
    }
  }

 private:
  Status read(const std::string& line, SourceItem& item) const {
    const auto parsed = JsonTree::parse(line, kItemLimits);
    if (const auto* broken = std::get_if<JsonError>(&parsed)) {
      item.place += ":" + std::to_string(broken->offset + 1);
      return Status(StatusCode::kInvalidArgument, "the line is no JSON: " + broken->message)
          .expected(broken->expected)
          .hint(line.starts_with('[') ? kNoArray : broken->hint);
    }
    const JsonTree& tree = std::get<JsonTree>(parsed);
    if (tree.kind(0) != JsonKind::kObject) {
      return Status(StatusCode::kInvalidArgument, "an item is a JSON object with the inputs as members")
          .expected("{\"topic\": \"the sea\"}, say")
          .got(describe(tree.kind(0)))
          .hint(tree.kind(0) == JsonKind::kArray ? kNoArray : "");
    }
    if (!tree.duplicates().empty()) {
      return Status(StatusCode::kInvalidArgument,
                    "'" + std::string(tree[tree.duplicates()[0]].key) + "' stands twice in the item");
    }
    for (const JsonId member : tree.children(0)) {
      const std::string name(tree[member].key);
      const PipelineInput* input = find_input(graph_, name);
      const bool is_text = tree.kind(member) == JsonKind::kString;
      if (!input && name == "id" && (is_text || tree.kind(member) == JsonKind::kNumber)) {
        item.id = tree[member].text;
      } else if (input && input->type == "path" && is_text) {
        item.inputs[name] = {resolve_path(std::string(tree[member].text), folder_), {}};
      } else if (input && input->type == "list<path>" && tree.kind(member) == JsonKind::kArray) {
        item.inputs[name] = {{}, resolved_paths(tree, member)};
      } else {
        item.inputs[name] = {{}, tree.compact(member)};
      }
    }
    return {};
  }

  std::string resolved_paths(const JsonTree& tree, JsonId list) const {
    std::string json = "[";
    for (const JsonId element : tree.children(list)) {
      const bool is_text = tree.kind(element) == JsonKind::kString;
      json += json.size() > 1 ? "," : "";
      json += is_text ? json_string(resolve_path(std::string(tree[element].text), folder_))
                      : tree.compact(element);
    }
    return json + "]";
  }

  LineReader reader_;
  const std::string name_;
  const fs::path folder_;
  const Graph& graph_;
};

class CsvSource final : public ItemSource {
 public:
  CsvSource(CsvReader reader, std::string name, fs::path folder, const Graph& graph)
      : reader_(std::move(reader)), name_(std::move(name)), folder_(std::move(folder)), graph_(graph) {}

  Status read_heading() {
    Result<std::optional<CsvReader::Row>> heading = reader_.next();
    if (!heading.ok()) return heading.status();
    if (!*heading) {
      return Status(StatusCode::kInvalidArgument, "the CSV file is empty")
          .at(name_)
          .expected("a first row that names the inputs");
    }
    columns_ = std::move((*heading)->fields);
    for (size_t i = 0; i < columns_.size(); ++i) {
      const std::string place = name_ + ":1, column " + std::to_string(i + 1);
      if (std::find(columns_.begin(), columns_.begin() + static_cast<ptrdiff_t>(i), columns_[i]) !=
          columns_.begin() + static_cast<ptrdiff_t>(i)) {
        return Status(StatusCode::kInvalidArgument, "two columns are named '" + columns_[i] + "'").at(place);
      }
      if (columns_[i] != "id" && !find_input(graph_, columns_[i])) {
        Error unknown = unknown_input(graph_, columns_[i], place);
        if (columns_[i].find_first_of(";\t") != std::string::npos)
          unknown.hint = "columns are separated by commas";
        return unknown;
      }
    }
    return {};
  }

  Result<std::optional<SourceItem>> next() override {
    Result<std::optional<CsvReader::Row>> row = reader_.next();
    if (!row.ok()) return row.status();
    if (!*row) return std::optional<SourceItem>();
    SourceItem item;
    item.place = name_ + ":" + std::to_string((*row)->line);
    std::vector<std::string>& fields = (*row)->fields;
    if (fields.size() != columns_.size()) {
      item.error = Status(StatusCode::kInvalidArgument, "the row does not have a field for each column")
                       .expected(std::to_string(columns_.size()) + " fields")
                       .got(std::to_string(fields.size()))
                       .error();
      return std::optional<SourceItem>(std::move(item));
    }
    for (size_t i = 0; i < fields.size(); ++i) {
      const PipelineInput* input = find_input(graph_, columns_[i]);
      if (!input) {
        item.id = std::move(fields[i]);
      } else if (input->type == "path") {
        item.inputs[columns_[i]] = {resolve_path(fields[i], folder_), {}};
      } else {
        item.inputs[columns_[i]] = {std::move(fields[i]), {}};
      }
    }
    return std::optional<SourceItem>(std::move(item));
  }

 private:
  CsvReader reader_;
  const std::string name_;
  const fs::path folder_;
  const Graph& graph_;
  std::vector<std::string> columns_;
};

class FolderSource final : public ItemSource {
 public:
  FolderSource(std::string input, std::vector<fs::path> files)
      : input_(std::move(input)), files_(std::move(files)) {}

  Result<std::optional<SourceItem>> next() override {
    if (next_ == files_.size()) return std::optional<SourceItem>();
    const fs::path& file = files_[next_++];
    SourceItem item;
    item.id = file.filename().string();
    item.place = file.string();
    item.inputs[input_] = {fs::absolute(file).lexically_normal().string(), {}};
    return std::optional<SourceItem>(std::move(item));
  }

 private:
  const std::string input_;
  const std::vector<fs::path> files_;
  size_t next_ = 0;
};

Result<std::unique_ptr<ItemSource>> open_folder(const fs::path& folder, std::string input,
                                                const Graph& graph) {
  if (input.empty()) {
    std::string names;
    size_t n_paths = 0;
    for (const PipelineInput& known : graph.inputs) {
      if (known.type != "path") continue;
      input = known.name;
      names += (n_paths++ == 0 ? "" : ", ") + known.name;
    }
    if (n_paths != 1) {
      return Status(StatusCode::kInvalidArgument, "it is not clear which input takes the files of a folder")
          .at(folder.string())
          .expected("a pipeline with one input of type path")
          .got(n_paths == 0 ? "none" : names)
          .hint("--items INPUT=" + folder.string() + " says which");
    }
  }
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    const bool hidden = entry->path().filename().native().starts_with('.');
    if (!hidden && entry->is_regular_file(ignored)) files.push_back(entry->path());
  }
  if (error) return io_error("listing the folder", folder, error.value());
  std::sort(files.begin(), files.end());
  return std::unique_ptr<ItemSource>(std::make_unique<FolderSource>(std::move(input), std::move(files)));
}

class MatrixSource final : public ItemSource {
 public:
  MatrixSource(std::unique_ptr<ItemSource> inner, std::vector<MatrixAxis> axes)
      : inner_(std::move(inner)), axes_(std::move(axes)), chosen_(axes_.size(), 0) {}

  Result<std::optional<SourceItem>> next() override {
    if (!item_) {
      Result<std::optional<SourceItem>> next = take_inner();
      if (!next.ok() || !*next) return next;
      item_ = std::move(*next);
      if (item_->error) return std::exchange(item_, std::nullopt);
      for (const MatrixAxis& axis : axes_) {
        if (item_->inputs.count(axis.input) == 0) continue;
        item_->error = Status(StatusCode::kInvalidArgument,
                              "'" + axis.input + "' is set by the item and by --matrix " + axis.input)
                           .error();
        return std::exchange(item_, std::nullopt);
      }
    }
    SourceItem item = *item_;
    for (size_t i = 0; i < axes_.size(); ++i) {
      const std::string& value = axes_[i].values[chosen_[i]];
      item.inputs[axes_[i].input] = {value, {}};
      item.matrix.push_back(value);
      item.place += (item.place.empty() ? "" : ", ") + axes_[i].input + "=" + value;
    }
    advance();
    return std::optional<SourceItem>(std::move(item));
  }

 private:
  Result<std::optional<SourceItem>> take_inner() {
    if (inner_) return inner_->next();
    if (std::exchange(begun_, true)) return std::optional<SourceItem>();
    return std::optional<SourceItem>(SourceItem{});
  }

  void advance() {
    for (size_t i = axes_.size(); i-- > 0;) {
      if (++chosen_[i] < axes_[i].values.size()) return;
      chosen_[i] = 0;
    }
    item_.reset();
  }

  const std::unique_ptr<ItemSource> inner_;
  const std::vector<MatrixAxis> axes_;
  std::vector<size_t> chosen_;
  std::optional<SourceItem> item_;  // whose combinations are being given
  bool begun_ = false;
};

/// "1..100"; nothing if it is no range.
std::optional<std::pair<int64_t, int64_t>> parse_range(const std::string& text) {
  const size_t dots = text.find("..");
  if (dots == std::string::npos) return std::nullopt;
  int64_t from = 0, to = 0;
  const char *middle = text.data() + dots, *end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), middle, from);
  const auto last = std::from_chars(middle + 2, end, to);
  if (first.ec != std::errc() || first.ptr != middle || last.ec != std::errc() || last.ptr != end) {
    return std::nullopt;
  }
  return std::pair(from, to);
}

}  // namespace

Result<std::unique_ptr<ItemSource>> open_items(const std::string& items, const Graph& graph) {
  std::error_code error;
  const size_t equals = items.find('=');
  if (equals != std::string::npos && find_input(graph, items.substr(0, equals))) {
    return open_folder(items.substr(equals + 1), items.substr(0, equals), graph);
  }
  if (fs::is_directory(items, error)) return open_folder(items, {}, graph);
  Result<LineReader> reader = LineReader::open(items);
  if (!reader.ok()) return reader.status();
  const std::string name = items == "-" ? "standard input" : items;
  const fs::path folder = items == "-" ? fs::path(".") : fs::path(items).parent_path();
  if (fs::path(items).extension() == ".csv") {
    auto source = std::make_unique<CsvSource>(CsvReader(std::move(*reader), name), name, folder, graph);
    if (Status status = source->read_heading(); !status.ok()) return status;
    return std::unique_ptr<ItemSource>(std::move(source));
  }
  return std::unique_ptr<ItemSource>(
      std::make_unique<JsonLinesSource>(std::move(*reader), name, folder, graph));
}

Result<MatrixAxis> parse_matrix_axis(const std::string& text, const Graph& graph) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    return Status(StatusCode::kInvalidArgument, "not an axis of a grid")
        .at("--matrix")
        .expected("input=1..100 or input=4,7")
        .got("'" + text + "'");
  }
  MatrixAxis axis{text.substr(0, equals), {}};
  if (!find_input(graph, axis.input)) return unknown_input(graph, axis.input, "--matrix");
  const std::string values = text.substr(equals + 1);
  if (const auto range = parse_range(values)) {
    const auto [from, to] = *range;
    if (to < from || static_cast<uint64_t>(to) - static_cast<uint64_t>(from) >= kMaxAxisValues) {
      return Status(StatusCode::kOutOfRange, "not a range that a grid takes")
          .at("--matrix " + axis.input)
          .expected("from..to with at most " + std::to_string(kMaxAxisValues) + " numbers")
          .got("'" + values + "'");
    }
    for (int64_t value = from; value <= to; ++value) axis.values.push_back(std::to_string(value));
    return axis;
  }
  for (size_t begin = 0; begin <= values.size();) {
    const size_t end = std::min(values.find(',', begin), values.size());
    axis.values.push_back(values.substr(begin, end - begin));
    begin = end + 1;
  }
  return axis;
}

Result<std::unique_ptr<ItemSource>> expand_matrix(std::unique_ptr<ItemSource> inner,
                                                  std::vector<MatrixAxis> axes) {
  for (size_t i = 0; i < axes.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      if (axes[k].input != axes[i].input) continue;
      return Status(StatusCode::kInvalidArgument, "two axes set '" + axes[i].input + "'")
          .at("--matrix")
          .hint("name all of its values in one: --matrix " + axes[i].input + "=A,B,C");
    }
  }
  if (axes.empty() && inner) return inner;
  return std::unique_ptr<ItemSource>(std::make_unique<MatrixSource>(std::move(inner), std::move(axes)));
}

}  // namespace weft
