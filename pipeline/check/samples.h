/// Made-up inputs and parameters for a node, from nothing but its descriptor.
#ifndef WEFT_PIPELINE_CHECK_SAMPLES_H
#define WEFT_PIPELINE_CHECK_SAMPLES_H

#include <map>
#include <string>
#include <vector>

#include "pipeline/loader/catalog.h"
#include "pipeline/memory/pool.h"
#include "pipeline/memory/value.h"

namespace weft {

/// A small text file that check_node puts into the folder that nodes read from.
inline constexpr char kSampleFile[] = "sample.txt";
/// And a small picture, 2 x 2 pixels.
inline constexpr char kSamplePicture[] = "sample.png";
std::string sample_picture();

/// Values of port type `type`, typical ones first: texts short, long, empty and in many scripts; tensors of several ranks,
/// types and strides; lists of none, one and many. Never empty for a type that exists.
std::vector<Value> sample_values(const std::string& type, Pool& pool);
/// A large value, for work that takes a while.
Value large_value(const std::string& type, Pool& pool);

using ParameterJson = std::map<std::string, std::string>;  // JSON text by name

/// One setting of all parameters, and what is special about it: "defaults", "marks = 9".
struct ParameterSample {
  std::string description;
  ParameterJson parameters_json;
  std::string varied;  // the parameter that is not as in the defaults; empty for none or all
};

/// First the defaults (with made-up values where there is none), then for each parameter its smallest, largest and every
/// choice, the others staying as they are. Parameters of type model are left to the caller.
std::vector<ParameterSample> sample_parameters(const NodeTypeDescriptor& node);
/// Every number at its largest.
ParameterSample largest_parameters(const NodeTypeDescriptor& node);

}  // namespace weft
#endif
