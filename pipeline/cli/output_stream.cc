#include "pipeline/cli/output_stream.h"

#include <nlohmann/json.hpp>

#include "pipeline/cli/terminal.h"

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;

/// Text as it is, a list of texts one a line, everything else as JSON.
std::string readable(const std::string& json) {
  const Json value = Json::parse(json, nullptr, false);
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array() && !value.empty() && value.front().is_string()) {
    std::string text;
    for (const Json& item : value) text += item.get<std::string>() + "\n";
    return text;
  }
  return json;
}

}  // namespace

OutputStream::OutputStream(std::vector<StreamedOutput> outputs, Controls controls, Writer writer)
    : controls_(controls), writer_(std::move(writer)) {
  for (StreamedOutput& output : outputs)
    items_.push_back({std::move(output), {}, Item::State::kWaiting, false, false});
}

void OutputStream::part(std::string_view node, std::string_view port, std::string_view text) {
  for (Item& item : items_) {
    if (item.output.type != "text" || item.output.node != node || item.output.port != port) continue;
    item.has_parts = true;
    item.waiting += text;
  }
  advance();
}

void OutputStream::discard(std::string_view node) {
  for (Item& item : items_) {
    if (item.output.node != node) continue;
    item.waiting.clear();
    item.has_parts = false;
    if (item.state == Item::State::kStreaming) {
      end_line();
      write("[discarded: trying again]\n");
    }
  }
}

void OutputStream::node_finished(std::string_view node) {
  for (Item& item : items_) {
    if (item.output.node == node) item.node_done = true;
  }
  advance();
}

void OutputStream::advance() {
  while (current_ < items_.size()) {
    Item& item = items_[current_];
    if (!item.has_parts) return;  // known only at the end
    if (item.state == Item::State::kWaiting && items_.size() > 1) write(item.output.name + ":\n");
    item.state = Item::State::kStreaming;
    write(item.waiting);
    item.waiting.clear();
    if (!item.node_done) return;
    end_line();
    item.state = Item::State::kComplete;
    ++current_;
  }
}

void OutputStream::finish(const std::map<std::string, std::string>& outputs_json) {
  advance();
  for (; current_ < items_.size(); ++current_) {
    Item& item = items_[current_];
    const auto value = outputs_json.find(item.output.name);
    if (item.state == Item::State::kStreaming) {
      end_line();
    } else if (value != outputs_json.end()) {
      print_value(item, value->second);
    } else if (items_.size() > 1) {
      write(item.output.name + ": (skipped)\n");
    }
    item.state = Item::State::kComplete;
  }
}

void OutputStream::print_value(const Item& item, const std::string& json) {
  const std::string text = readable(json);
  if (items_.size() > 1) {
    const bool short_line = text.find('\n') == std::string::npos && item.output.type != "text";
    write(item.output.name + (short_line ? ": " : ":\n"));
  }
  write(text);
  end_line();
}

void OutputStream::write(std::string_view text) {
  if (text.empty()) return;
  if (controls_ == Controls::kShown) {
    writer_(without_controls(text));
  } else {
    writer_(text);
  }
  within_line_ = text.back() != '\n';
}

void OutputStream::end_line() {
  if (within_line_) write("\n");
}

}  // namespace weft::cli
