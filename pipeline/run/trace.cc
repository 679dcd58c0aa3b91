#include "pipeline/run/trace.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>

#include "pipeline/files/durable_file.h"

namespace weft {
namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

void key_text(Writer& writer, const char* key, std::string_view text) {
  writer.Key(key);
  writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

void begin_event(Writer& writer, const char* phase, std::string_view name, uint32_t worker) {
  writer.StartObject();
  key_text(writer, "ph", phase);
  key_text(writer, "name", name);
  writer.Key("pid");
  writer.Int(1);
  writer.Key("tid");
  writer.Uint(worker + 1);
}

}  // namespace

Trace::Trace(uint32_t n_workers) : start_(Clock::now()), rows_(std::max(n_workers, 1u)) {}

void Trace::span(uint32_t worker, std::string_view name, std::string_view category, Clock::time_point begin,
                 Clock::time_point end) {
  rows_[worker].spans.push_back({std::string(name), std::string(category), begin, end});
}

void Trace::counters(uint32_t worker, uint64_t live_bytes, uint64_t copied_bytes) {
  rows_[worker].samples.push_back({Clock::now(), live_bytes, copied_bytes});
}

Status Trace::write(TemporaryFiles& temporaries, const std::filesystem::path& path) const {
  const auto microseconds = [this](Clock::time_point time) {
    return std::chrono::duration<double, std::micro>(time - start_).count();
  };
  rapidjson::StringBuffer buffer;
  Writer writer(buffer);
  writer.SetMaxDecimalPlaces(3);
  writer.StartObject();
  key_text(writer, "displayTimeUnit", "ms");
  writer.Key("traceEvents");
  writer.StartArray();
  std::vector<Sample> samples;
  for (uint32_t worker = 0; worker < rows_.size(); ++worker) {
    begin_event(writer, "M", "thread_name", worker);
    writer.Key("args");
    writer.StartObject();
    key_text(writer, "name", "worker " + std::to_string(worker));
    writer.EndObject();
    writer.EndObject();
    for (const Span& span : rows_[worker].spans) {
      begin_event(writer, "X", span.name, worker);
      key_text(writer, "cat", span.category);
      writer.Key("ts");
      writer.Double(microseconds(span.begin));
      writer.Key("dur");
      writer.Double(std::chrono::duration<double, std::micro>(span.end - span.begin).count());
      writer.EndObject();
    }
    samples.insert(samples.end(), rows_[worker].samples.begin(), rows_[worker].samples.end());
  }
  std::sort(samples.begin(), samples.end(), [](const Sample& a, const Sample& b) { return a.time < b.time; });
  for (const Sample& sample : samples) {
    for (const auto& [name, bytes] :
         {std::pair("live bytes", sample.live_bytes), std::pair("copied bytes", sample.copied_bytes)}) {
      begin_event(writer, "C", name, 0);
      writer.Key("ts");
      writer.Double(microseconds(sample.time));
      writer.Key("args");
      writer.StartObject();
      writer.Key("bytes");
      writer.Uint64(bytes);
      writer.EndObject();
      writer.EndObject();
    }
  }
  writer.EndArray();
  writer.EndObject();
  return write_durably(temporaries, path, {buffer.GetString(), buffer.GetSize()});
}

}  // namespace weft
