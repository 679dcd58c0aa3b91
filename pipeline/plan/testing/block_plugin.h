/// A node whose parameters say what its plan is, and everything that create_plan needs to make it, for tests of planning.
///
///   test.block    any further inputs -> out: text, numbers: list<int>
///     workspace, state: bytes; cost: seconds; bytes: bound on out, -1 for none; count: bound on numbers;
///     fail: "" | create | prepare | batch | cost; seed; note (per request); model: a test.model
///   test.tensor   -> out: tensor, f32 [rows, 4] on the CPU or, with gpu, on CUDA device 0
///   test.list     -> out: list<text> of at most `count` texts of at most `bytes` bytes
///   test.model    bytes: its resident size; a folder of that name need not exist
#ifndef WEFT_PIPELINE_PLAN_TESTING_BLOCK_PLUGIN_H
#define WEFT_PIPELINE_PLAN_TESTING_BLOCK_PLUGIN_H

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/memory/pool.h"
#include "pipeline/plan/plan.h"

namespace weft {

Catalog block_catalog();

/// Opens a model for every path once; seeds are 1000, 1001, ...
class BlockEnvironment final : public PlanEnvironment {
 public:
  BlockEnvironment();
  ~BlockEnvironment() override;

  const weft_host* host() override { return host_.get(); }
  Result<const weft_node_api*> node_api(const Catalog::NodeEntry& type) override;
  Result<OpenModel> open_model(const Graph& graph, const ModelEntry& entry, const std::string& path,
                               const weft_parameters& parameters) override;
  Result<sdk::Value> make_value(const std::string& json, const std::string& type) override;
  Result<std::string> reference_text(const weft_value* value) override;
  int64_t seed(const std::string& node, const std::string& parameter) override;
  int64_t today(const std::string&) override { return 0; }

  std::vector<std::string> opened, seeds;  // what was asked for
  static int live_nodes();                 // created and not yet destroyed, in the whole process

 private:
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<weft_host> host_;
  std::map<std::string, std::unique_ptr<int>> models_;  // by path and options; the address is the handle
};

}  // namespace weft
#endif
