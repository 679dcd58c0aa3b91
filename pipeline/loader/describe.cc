#include "pipeline/loader/describe.h"

#include <utility>

#include "pipeline/files/content_hash.h"
#include "pipeline/loader/child_process.h"
#include "pipeline/loader/descriptor_json.h"

namespace weft {
namespace {

Result<Description> judge(const ChildOutcome& child, std::chrono::milliseconds time_limit) {
  using Ending = ChildOutcome::Ending;
  const auto failed = [](StatusCode code, std::string message) {
    return Status(code, std::move(message)).hint("ask its author, or remove it");
  };
  if (child.ending == Ending::kTimedOut) {
    return failed(StatusCode::kTimedOut,
                  "it did not describe itself within " + std::to_string(time_limit.count()) + " ms");
  }
  if (child.ending == Ending::kSignalled || child.answer.empty()) {
    return failed(StatusCode::kInternal, "asked for its descriptor, it " + child.describe());
  }
  Result<Description> description = description_from_json(child.answer);
  if (!description.ok()) return failed(StatusCode::kCorruptData, description.error().message);
  if (child.code != 0 && !description->problems.empty()) return Status(description->problems.front());
  return description;
}

}  // namespace

Result<Description> describe_plugin(const std::string& path, const DescribeOptions& options) {
  Result<FileIdentity> identity = identify_file(path);
  if (!identity.ok()) return identity.status();
  Result<std::string> sha256 = sha256_of_file(path);
  if (!sha256.ok()) return sha256.status();
  Result<ChildOutcome> child = run_child(options.program, {path}, options.time_limit);
  if (!child.ok()) return child.status();
  Result<Description> description = judge(*child, options.time_limit);
  if (!description.ok()) {
    Error error = description.error();
    if (error.where.empty()) error.where = path;
    return Status(std::move(error));
  }
  description->descriptor.path = path;
  description->descriptor.sha256 = *sha256;
  description->descriptor.file = *identity;
  for (Error& problem : validate_descriptor(description->descriptor)) {
    description->problems.push_back(std::move(problem));
  }
  return description;
}

}  // namespace weft
