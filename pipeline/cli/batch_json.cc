#include "pipeline/cli/batch_json.h"

#include <nlohmann/json.hpp>

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string item_line(const NamedOutcome& named) {
  const ItemOutcome& outcome = named.outcome;
  const bool failed = outcome.state == ItemOutcome::State::kFailed;
  Json json{{"event", "item"},
            {"name", named.item.name},
            {"state", failed ? "failed" : "done"},
            {"seconds", outcome.seconds}};
  if (failed) {
    json["place"] = named.item.place;
    json["reason"] = to_string(*outcome.error);
    return line(json);
  }
  json["outputs"] = Json::object();
  for (const auto& [name, text] : outcome.outputs_json) json["outputs"][name] = Json::parse(text);
  json["files"] = Json::array();
  for (const ItemFile& file : outcome.files) {
    json["files"].push_back("items/" + named.item.name + "/" + file.path);
  }
  return line(json);
}

std::string batch_finished_line(const BatchCounts& counts, BatchEnd end) {
  return line({{"event", end == BatchEnd::kComplete ? "batch_finished" : "batch_interrupted"},
               {"items", counts.items},
               {"done", counts.done},
               {"failed", counts.failed}});
}

std::string batch_counts_text(const BatchCounts& counts) {
  std::string text = std::to_string(counts.done) + " of " + std::to_string(counts.items) + " items done";
  if (counts.failed > 0) text += ", " + std::to_string(counts.failed) + " failed";
  return text;
}

}  // namespace weft::cli
