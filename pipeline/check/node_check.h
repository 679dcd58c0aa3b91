/// Tries one node type of a loaded plugin: the body of weft-check-node.
///
/// Runs in a process of its own, pass by pass; what it finds is written as it goes, so that a crash loses nothing but the
/// pass that it happened in. Thread safety: one thread.
#ifndef WEFT_PIPELINE_CHECK_NODE_CHECK_H
#define WEFT_PIPELINE_CHECK_NODE_CHECK_H

#include <weft/abi/plugin.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "pipeline/check/check.h"

namespace weft {

struct NodeCheckOptions {
  std::filesystem::path folder;     // to read from and write to; exists and is empty
  std::vector<std::string> models;  // absolute paths
  size_t first_pass = 0;            // of checks::kPasses: continue after a crash
};

struct NodeCheckReport {
  std::function<void(size_t pass)> begin;          // a pass begins
  std::function<void(const CheckResult&)> result;  // node is left empty
};

/// plugin, node_name: as loaded. May end the process (with status 3, after reporting) when a node does not come back.
void check_node(const weft_plugin& plugin, const std::string& node_name, const NodeCheckOptions& options,
                const NodeCheckReport& report);

}  // namespace weft
#endif
