#include "pipeline/cli/event_json.h"

#include <nlohmann/json.hpp>

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json error_json(const Error& error) {
  Json json{{"code", to_string(error.code)}, {"message", error.message}};
  if (!error.where.empty()) json["where"] = error.where;
  if (!error.expected.empty()) json["expected"] = error.expected;
  if (!error.got.empty()) json["got"] = error.got;
  if (!error.hint.empty()) json["hint"] = error.hint;
  return json;
}

struct ToJson {
  Json operator()(const NodeStarted& e) const {
    return {{"event", "node_started"}, {"node", e.node}, {"requests", e.n_requests}};
  }
  Json operator()(const NodeFinished& e) const {
    return {{"event", "node_finished"},
            {"node", e.node},
            {"seconds", e.seconds},
            {"cached", e.origin == NodeFinished::Origin::kCached}};
  }
  Json operator()(const NodeSkipped& e) const {
    return {{"event", "node_skipped"}, {"node", e.node}, {"reason", e.reason}};
  }
  Json operator()(const NodeFailed& e) const {
    return {{"event", "node_failed"}, {"node", e.node}, {"error", error_json(e.error)}};
  }
  Json operator()(const TextPart& e) const {
    Json json{{"event", "text"}, {"node", e.node}, {"port", e.port}, {"element", e.element}};
    if (!e.outer.empty()) json["outer"] = e.outer;
    json["text"] = e.text;
    return json;
  }
  Json operator()(const PartsDiscarded& e) const {
    Json json{{"event", "discarded"}, {"node", e.node}, {"element", e.element}};
    if (!e.outer.empty()) json["outer"] = e.outer;
    json["attempt"] = e.attempt;
    json["error"] = error_json(e.error);
    return json;
  }
  Json operator()(const Progress& e) const {
    Json json{{"event", "progress"}, {"node", e.node}, {"element", e.element}};
    if (!e.outer.empty()) json["outer"] = e.outer;
    json["done"] = e.done;
    if (e.total > 0) json["total"] = e.total;
    if (!e.unit.empty()) json["unit"] = e.unit;
    return json;
  }
  Json operator()(const FileWritten& e) const {
    return {{"event", "file_written"}, {"node", e.node}, {"path", e.path}, {"size_bytes", e.size_bytes}};
  }
};

}  // namespace

std::string event_line(const Event& event) { return line(std::visit(ToJson{}, event)); }

std::string finished_line(const RunResult& result) {
  std::string text = "{\"event\":\"finished\",\"outputs\":{";
  bool first = true;
  for (const auto& [name, value] : result.outputs_json) {
    text += (first ? "" : ",") + Json(name).dump(-1, ' ', false, Json::error_handler_t::replace) + ":";
    first = false;
    // JSON made by a node is kept as it is written, numbers to the last digit, unless it spans lines.
    text += value.find('\n') == std::string::npos ? value : Json::parse(value).dump();
  }
  Json rest{{"files", result.files},
            {"seconds", result.seconds},
            {"peak_live_bytes", result.peak_live_bytes},
            {"copied_bytes", result.copied_bytes}};
  if (!result.manifest_path.empty()) rest["manifest"] = result.manifest_path.string();
  return text + "}," + line(rest).substr(1);
}

std::string failed_line(const Error& error, int exit_code) {
  return line({{"event", "failed"}, {"error", error_json(error)}, {"exit_code", exit_code}});
}

}  // namespace weft::cli
