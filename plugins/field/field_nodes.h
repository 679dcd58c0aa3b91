/// Nodes for fields: field.load, field.save, field.select, field.describe, field.statistics.
///
/// What a field is: modalities/field/field.h.
#ifndef WEFT_PLUGINS_FIELD_FIELD_NODES_H
#define WEFT_PLUGINS_FIELD_FIELD_NODES_H

#include <weft/sdk/plugin.h>

#include <optional>
#include <string>
#include <vector>

#include "modalities/field/field.h"
#include "modalities/field/selection.h"

namespace weft::field {

/// A field of an npy, npz, NetCDF or GRIB file.
class LoadNode {
 public:
  explicit LoadNode(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

/// A field as npy, npz or NetCDF below the output folder.
class SaveNode {
 public:
  explicit SaveNode(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

/// A part of a field, by coordinates or positions.
class SelectNode {
 public:
  explicit SelectNode(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

/// A tensor, or a field, with names, units and coordinates that the pipeline says.
class DescribeNode {
 public:
  static Result<std::unique_ptr<DescribeNode>> create(const sdk::NodeConfig& config);
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);

 private:
  Status describe(FieldType* type) const;

  std::optional<std::string> name_, long_name_, units_;
  std::vector<Axis>
      axes_;  // size: of the coordinates that were given; 0 with one coordinate: the first of a regular axis
  std::vector<double> steps_;  // of regular axes
};

/// Numbers about a field, as JSON and as a sentence.
class StatisticsNode {
 public:
  explicit StatisticsNode(const sdk::NodeConfig&) {}
  Status prepare(sdk::Specs inputs, sdk::Plan plan);
  Status run(sdk::Request& request, const sdk::Execution& execution);
};

extern const weft_node_type kLoadNode, kSaveNode, kSelectNode, kDescribeNode, kStatisticsNode;

}  // namespace weft::field
#endif
