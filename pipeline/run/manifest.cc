#include "pipeline/run/manifest.h"

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <string_view>
#include <utility>

#include "pipeline/files/content_hash.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using Json = rapidjson::Value;
using Writer = rapidjson::PrettyWriter<rapidjson::StringBuffer>;

void put(Writer& writer, const char* key, std::string_view text) {
  writer.Key(key);
  writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

void put_file(Writer& writer, const ManifestFile& file) {
  put(writer, "path", file.path);
  put(writer, "sha256", file.sha256);
  writer.Key("size_bytes");
  writer.Uint64(file.size_bytes);
}

void put_files(Writer& writer, const char* key, const std::vector<ManifestFile>& files) {
  writer.Key(key);
  writer.StartArray();
  for (const ManifestFile& file : files) {
    writer.StartObject();
    put_file(writer, file);
    writer.EndObject();
  }
  writer.EndArray();
}

const char* outcome_name(NodeTiming::Outcome outcome) {
  switch (outcome) {
    case NodeTiming::Outcome::kComputed: return "computed";
    case NodeTiming::Outcome::kCached: return "cached";
    case NodeTiming::Outcome::kSkipped: return "skipped";
  }
  return "";
}

void put_sources(Writer& writer, const Manifest& manifest) {
  put_files(writer, "pipelines", manifest.pipelines);
  writer.Key("plugins");
  writer.StartArray();
  for (const Manifest::Plugin& plugin : manifest.plugins) {
    writer.StartObject();
    put(writer, "name", plugin.name);
    put(writer, "version", plugin.version);
    put_file(writer, plugin.file);
    writer.EndObject();
  }
  writer.EndArray();
  writer.Key("models");
  writer.StartArray();
  for (const Manifest::ModelFile& model : manifest.models) {
    writer.StartObject();
    put(writer, "name", model.name);
    put(writer, "type", model.type);
    put_file(writer, model.file);
    put_files(writer, "parts", model.parts);
    writer.EndObject();
  }
  writer.EndArray();
  writer.Key("inputs");
  writer.StartObject();
  for (const auto& [name, json] : manifest.inputs_json) {
    writer.Key(name.c_str());
    writer.RawValue(json.data(), json.size(), rapidjson::kObjectType);
  }
  writer.EndObject();
  put_files(writer, "input_files", manifest.input_files);
  writer.Key("seeds");
  writer.StartArray();
  for (const DrawnSeed& seed : manifest.seeds) {
    writer.StartObject();
    put(writer, "node", seed.node);
    put(writer, "parameter", seed.parameter);
    writer.Key("value");
    writer.Int64(seed.value);
    writer.EndObject();
  }
  writer.EndArray();
}

void put_timings(Writer& writer, const Manifest& manifest) {
  put(writer, "started", manifest.started_utc);
  writer.Key("seconds");
  writer.Double(manifest.seconds);
  writer.Key("nodes");
  writer.StartArray();
  for (const NodeTiming& timing : manifest.timings) {
    writer.StartObject();
    put(writer, "node", timing.node);
    put(writer, "outcome", outcome_name(timing.outcome));
    writer.Key("seconds");
    writer.Double(timing.seconds);
    writer.EndObject();
  }
  writer.EndArray();
}

/// Reads members of an expected type; remembers the first that is wrong.
class Reader {
 public:
  explicit Reader(const fs::path& path) : path_(path) {}

  std::string text(const Json& object, const char* key) {
    const Json* member = find(object, key);
    if (!member || !member->IsString()) return wrong(key, "a string"), "";
    return {member->GetString(), member->GetStringLength()};
  }
  /// Empty where it is missing.
  std::string optional_text(const Json& object, const char* key) {
    return find(object, key) ? text(object, key) : "";
  }
  int64_t integer(const Json& object, const char* key) {
    const Json* member = find(object, key);
    if (!member || !member->IsInt64()) return wrong(key, "an integer"), 0;
    return member->GetInt64();
  }
  double number(const Json& object, const char* key) {
    const Json* member = find(object, key);
    if (!member || !member->IsNumber()) return wrong(key, "a number"), 0;
    return member->GetDouble();
  }
  template <typename Each>
  void array(const Json& object, const char* key, Each each) {
    const Json* member = find(object, key);
    if (!member || !member->IsArray()) return wrong(key, "an array");
    for (const Json& item : member->GetArray()) each(item);
  }
  template <typename Each>
  void object(const Json& of, const char* key, Each each) {
    const Json* member = find(of, key);
    if (!member || !member->IsObject()) return wrong(key, "an object");
    for (const auto& item : member->GetObject())
      each(std::string(item.name.GetString(), item.name.GetStringLength()), item.value);
  }
  ManifestFile file(const Json& object) {
    return {text(object, "path"), text(object, "sha256"),
            static_cast<uint64_t>(integer(object, "size_bytes"))};
  }
  std::vector<ManifestFile> files(const Json& object, const char* key) {
    std::vector<ManifestFile> found;
    array(object, key, [&](const Json& item) { found.push_back(file(item)); });
    return found;
  }
  void wrong(const std::string& key, const std::string& expected) {
    if (status_.ok()) {
      status_ =
          Status(StatusCode::kCorruptData, "not a manifest: '" + key + "' is missing or of the wrong type")
              .at(path_.string())
              .expected(expected);
    }
  }
  const Status& status() const { return status_; }

 private:
  static const Json* find(const Json& object, const char* key) {
    if (!object.IsObject()) return nullptr;
    const auto member = object.FindMember(key);
    return member == object.MemberEnd() ? nullptr : &member->value;
  }
  const fs::path& path_;
  Status status_;
};

std::string serialize(const Json& json) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  json.Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

Manifest read_members(const Json& json, Reader& reader) {
  Manifest manifest;
  manifest.weft_version = reader.text(json, "weft");
  manifest.pipeline_name = reader.text(json, "pipeline");
  manifest.pipelines = reader.files(json, "pipelines");
  reader.array(json, "plugins", [&](const Json& item) {
    manifest.plugins.push_back({reader.file(item), reader.text(item, "name"), reader.text(item, "version")});
  });
  reader.array(json, "models", [&](const Json& item) {
    manifest.models.push_back({reader.file(item), reader.text(item, "name"), reader.text(item, "type"),
                               reader.files(item, "parts")});
  });
  reader.object(json, "inputs", [&](const std::string& name, const Json& value) {
    manifest.inputs_json[name] = serialize(value);
  });
  manifest.input_files = reader.files(json, "input_files");
  reader.array(json, "seeds", [&](const Json& item) {
    manifest.seeds.push_back(
        {reader.text(item, "node"), reader.text(item, "parameter"), reader.integer(item, "value")});
  });
  manifest.isa_level = reader.text(json, "isa_level");
  manifest.numerics_profile = reader.text(json, "numerics_profile");
  manifest.device = reader.text(json, "device");
  manifest.default_device = reader.optional_text(json, "default_device");
  reader.object(json, "outputs", [&](const std::string& name, const Json& value) {
    manifest.outputs[name] = {reader.text(value, "sha256"), reader.text(value, "type")};
  });
  manifest.output_files = reader.files(json, "output_files");
  manifest.started_utc = reader.text(json, "started");
  manifest.seconds = reader.number(json, "seconds");
  reader.array(json, "nodes", [&](const Json& item) {
    NodeTiming timing{reader.text(item, "node"), reader.number(item, "seconds"),
                      NodeTiming::Outcome::kComputed};
    const std::string outcome = reader.text(item, "outcome");
    if (outcome == "cached") timing.outcome = NodeTiming::Outcome::kCached;
    if (outcome == "skipped") timing.outcome = NodeTiming::Outcome::kSkipped;
    manifest.timings.push_back(std::move(timing));
  });
  return manifest;
}

void check(std::vector<Deviation>& deviations, const std::string& what, const fs::path& path,
           const std::string& expected) {
  auto hash = FileHashCache({}).sha256_of_tree(path);
  if (!hash.ok()) {
    deviations.push_back({what, path.string(), expected, ""});
  } else if (*hash != expected) {
    deviations.push_back({what, path.string(), expected, *hash});
  }
}

}  // namespace

std::string to_json(const Manifest& manifest) {
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  writer.SetIndent(' ', 2);
  writer.StartObject();
  writer.Key("manifest_version");
  writer.Int(Manifest::kVersion);
  put(writer, "weft", manifest.weft_version);
  put(writer, "pipeline", manifest.pipeline_name);
  put_sources(writer, manifest);
  put(writer, "isa_level", manifest.isa_level);
  put(writer, "numerics_profile", manifest.numerics_profile);
  put(writer, "device", manifest.device);
  if (!manifest.default_device.empty()) put(writer, "default_device", manifest.default_device);
  writer.Key("outputs");
  writer.StartObject();
  for (const auto& [name, output] : manifest.outputs) {
    writer.Key(name.c_str());
    writer.StartObject();
    put(writer, "type", output.type);
    put(writer, "sha256", output.sha256);
    writer.EndObject();
  }
  writer.EndObject();
  put_files(writer, "output_files", manifest.output_files);
  put_timings(writer, manifest);
  writer.EndObject();
  return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

Result<Manifest> read_manifest(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return Status(StatusCode::kNotFound, "the manifest cannot be opened").at(path.string());
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (stream.bad()) return Status(StatusCode::kIoError, "the manifest cannot be read").at(path.string());
  rapidjson::Document json;
  json.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseFullPrecisionFlag>(text.data(), text.size());
  if (json.HasParseError()) {
    return Status(StatusCode::kCorruptData,
                  std::string("not JSON: ") + rapidjson::GetParseError_En(json.GetParseError()))
        .at(path.string() + ", offset " + std::to_string(json.GetErrorOffset()));
  }
  Reader reader(path);
  const int64_t version = reader.integer(json, "manifest_version");
  if (reader.status().ok() && version != Manifest::kVersion) {
    return Status(StatusCode::kVersionMismatch, "the manifest was written by another version of Weft")
        .at(path.string())
        .expected("manifest_version " + std::to_string(Manifest::kVersion))
        .got(std::to_string(version));
  }
  Manifest manifest = read_members(json, reader);
  if (!reader.status().ok()) return reader.status();
  return manifest;
}

Status write_manifest(TemporaryFiles& temporaries, const fs::path& path, const Manifest& manifest) {
  return write_durably(temporaries, path, to_json(manifest));
}

Result<std::vector<Deviation>> verify_manifest(const fs::path& path) {
  auto manifest = read_manifest(path);
  if (!manifest.ok()) return manifest.status();
  std::vector<Deviation> deviations;
  for (const ManifestFile& file : manifest->pipelines) check(deviations, "pipeline", file.path, file.sha256);
  for (const Manifest::Plugin& plugin : manifest->plugins) {
    check(deviations, "plugin '" + plugin.name + "'", plugin.file.path, plugin.file.sha256);
  }
  for (const Manifest::ModelFile& model : manifest->models) {
    check(deviations, "model '" + model.name + "'", model.file.path, model.file.sha256);
    for (const ManifestFile& part : model.parts) {
      check(deviations, "part of model '" + model.name + "'", part.path, part.sha256);
    }
  }
  for (const ManifestFile& file : manifest->input_files)
    check(deviations, "input file", file.path, file.sha256);
  for (const ManifestFile& file : manifest->output_files) {
    check(deviations, "output file '" + file.path + "'", path.parent_path() / file.path, file.sha256);
  }
  return deviations;
}

Result<RunOptions> rerun_options(const Manifest& manifest, const std::string& isa_level,
                                 const fs::path& out_folder) {
  if (manifest.isa_level != isa_level) {
    return Status(StatusCode::kUnsupported,
                  "the run was made at another instruction set level, which gives other bits")
        .expected(manifest.isa_level)
        .got(isa_level)
        .hint("set WEFT_ISA=" + manifest.isa_level + " if this machine has it");
  }
  RunOptions options;
  for (const auto& [name, json] : manifest.inputs_json) options.inputs[name].json = json;
  options.out_folder = out_folder;
  options.isa_level = isa_level;
  options.numerics_profile = manifest.numerics_profile;
  options.device = manifest.default_device;
  options.seeds = manifest.seeds;
  return options;
}

std::vector<Deviation> compare_outputs(const Manifest& first, const Manifest& second) {
  std::vector<Deviation> deviations;
  std::map<std::string, std::pair<std::string, std::string>> hashes;  // by what: expected, got
  for (const auto& [name, output] : first.outputs) hashes["output '" + name + "'"].first = output.sha256;
  for (const auto& [name, output] : second.outputs) hashes["output '" + name + "'"].second = output.sha256;
  for (const ManifestFile& file : first.output_files)
    hashes["output file '" + file.path + "'"].first = file.sha256;
  for (const ManifestFile& file : second.output_files)
    hashes["output file '" + file.path + "'"].second = file.sha256;
  for (const auto& [what, pair] : hashes) {
    if (pair.first != pair.second) deviations.push_back({what, "", pair.first, pair.second});
  }
  return deviations;
}

}  // namespace weft
