// The layout of every struct of the contract, against the one that is recorded in layout_x86_64.txt. A difference there is
// a change of the contract: append-only within a version, a new version otherwise (docs/abi.md).
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <weft/abi/draft/cores.h>
#include <weft/abi/draft/known_files.h>
#include <weft/abi/draft/loading.h>
#include <weft/abi/draft/packed_weights.h>
#include <weft/abi/draft/run_record.h>
#include <weft/abi/plugin.h>

namespace weft {
namespace {

struct Field {
  const char* name;
  size_t offset, size;
};
struct Struct {
  const char* name;
  size_t size, alignment;
  std::vector<Field> fields;
};

#define FIELD(type, field) \
  { #field, offsetof(type, field), sizeof(type::field) }
#define STRUCT(type, ...)                               \
  {                                                     \
#type, sizeof(type), alignof(type), { __VA_ARGS__ } \
  }

const Struct kStructs[] = {
    STRUCT(weft_error, FIELD(weft_error, struct_size), FIELD(weft_error, code), FIELD(weft_error, message),
           FIELD(weft_error, where), FIELD(weft_error, expected), FIELD(weft_error, got),
           FIELD(weft_error, hint)),
    STRUCT(weft_device, FIELD(weft_device, kind), FIELD(weft_device, index)),
    STRUCT(weft_tensor, FIELD(weft_tensor, struct_size), FIELD(weft_tensor, dtype),
           FIELD(weft_tensor, device), FIELD(weft_tensor, rank), FIELD(weft_tensor, reserved),
           FIELD(weft_tensor, data), FIELD(weft_tensor, shape), FIELD(weft_tensor, strides)),
    STRUCT(weft_allocation, FIELD(weft_allocation, struct_size), FIELD(weft_allocation, alignment),
           FIELD(weft_allocation, device), FIELD(weft_allocation, size_bytes), FIELD(weft_allocation, tag)),
    STRUCT(weft_memory_statistics, FIELD(weft_memory_statistics, struct_size),
           FIELD(weft_memory_statistics, reserved), FIELD(weft_memory_statistics, live_bytes),
           FIELD(weft_memory_statistics, peak_bytes), FIELD(weft_memory_statistics, allocation_count),
           FIELD(weft_memory_statistics, copied_bytes)),
    STRUCT(weft_memory_api, FIELD(weft_memory_api, struct_size), FIELD(weft_memory_api, reserved),
           FIELD(weft_memory_api, self), FIELD(weft_memory_api, allocate), FIELD(weft_memory_api, retain),
           FIELD(weft_memory_api, release), FIELD(weft_memory_api, data), FIELD(weft_memory_api, size_bytes),
           FIELD(weft_memory_api, device), FIELD(weft_memory_api, ready), FIELD(weft_memory_api, acquire),
           FIELD(weft_memory_api, stream_device), FIELD(weft_memory_api, native_stream),
           FIELD(weft_memory_api, synchronize), FIELD(weft_memory_api, statistics)),
    STRUCT(weft_value_api, FIELD(weft_value_api, struct_size), FIELD(weft_value_api, reserved),
           FIELD(weft_value_api, make_bool), FIELD(weft_value_api, make_int),
           FIELD(weft_value_api, make_float), FIELD(weft_value_api, make_bytes),
           FIELD(weft_value_api, make_tensor), FIELD(weft_value_api, make_list),
           FIELD(weft_value_api, retain), FIELD(weft_value_api, release), FIELD(weft_value_api, kind),
           FIELD(weft_value_api, type), FIELD(weft_value_api, get_bool), FIELD(weft_value_api, get_int),
           FIELD(weft_value_api, get_float), FIELD(weft_value_api, get_bytes),
           FIELD(weft_value_api, get_tensor), FIELD(weft_value_api, list_size),
           FIELD(weft_value_api, list_item)),
    STRUCT(weft_parameter_api, FIELD(weft_parameter_api, struct_size), FIELD(weft_parameter_api, reserved),
           FIELD(weft_parameter_api, is_set), FIELD(weft_parameter_api, get_bool),
           FIELD(weft_parameter_api, get_int), FIELD(weft_parameter_api, get_float),
           FIELD(weft_parameter_api, get_text)),
    STRUCT(weft_model_source, FIELD(weft_model_source, struct_size), FIELD(weft_model_source, reserved),
           FIELD(weft_model_source, path), FIELD(weft_model_source, sha256),
           FIELD(weft_model_source, parameters), FIELD(weft_model_source, self),
           FIELD(weft_model_source, add_file)),
    STRUCT(weft_model_estimate, FIELD(weft_model_estimate, struct_size), FIELD(weft_model_estimate, reserved),
           FIELD(weft_model_estimate, resident_bytes), FIELD(weft_model_estimate, mapped_bytes),
           FIELD(weft_model_estimate, device), FIELD(weft_model_estimate, offloaded_bytes)),
    STRUCT(weft_model_type, FIELD(weft_model_type, struct_size), FIELD(weft_model_type, version),
           FIELD(weft_model_type, name), FIELD(weft_model_type, help), FIELD(weft_model_type, parameters),
           FIELD(weft_model_type, n_parameters), FIELD(weft_model_type, open),
           FIELD(weft_model_type, estimate), FIELD(weft_model_type, load), FIELD(weft_model_type, evict),
           FIELD(weft_model_type, close), FIELD(weft_model_type, offload)),
    STRUCT(weft_spec, FIELD(weft_spec, struct_size), FIELD(weft_spec, kind), FIELD(weft_spec, dtype),
           FIELD(weft_spec, device), FIELD(weft_spec, rank), FIELD(weft_spec, shape),
           FIELD(weft_spec, max_bytes), FIELD(weft_spec, max_count), FIELD(weft_spec, value)),
    STRUCT(weft_named_model, FIELD(weft_named_model, parameter), FIELD(weft_named_model, model)),
    STRUCT(
        weft_node_config, FIELD(weft_node_config, struct_size), FIELD(weft_node_config, max_requests),
        FIELD(weft_node_config, name), FIELD(weft_node_config, parameters), FIELD(weft_node_config, models),
        FIELD(weft_node_config, n_models), FIELD(weft_node_config, inputs), FIELD(weft_node_config, n_inputs),
        FIELD(weft_node_config, input_connected), FIELD(weft_node_config, self),
        FIELD(weft_node_config, today), FIELD(weft_node_config, outputs), FIELD(weft_node_config, n_outputs)),
    STRUCT(weft_node_plan, FIELD(weft_node_plan, struct_size), FIELD(weft_node_plan, max_batch),
           FIELD(weft_node_plan, outputs), FIELD(weft_node_plan, n_outputs),
           FIELD(weft_node_plan, workspace_bytes), FIELD(weft_node_plan, state_bytes),
           FIELD(weft_node_plan, device), FIELD(weft_node_plan, cost_seconds),
           FIELD(weft_node_plan, useful_batch), FIELD(weft_node_plan, reserved)),
    STRUCT(weft_execution, FIELD(weft_execution, struct_size), FIELD(weft_execution, reserved),
           FIELD(weft_execution, stream), FIELD(weft_execution, workspace),
           FIELD(weft_execution, workspace_bytes), FIELD(weft_execution, self), FIELD(weft_execution, more)),
    STRUCT(weft_node_api, FIELD(weft_node_api, struct_size), FIELD(weft_node_api, reserved),
           FIELD(weft_node_api, create), FIELD(weft_node_api, prepare), FIELD(weft_node_api, execute),
           FIELD(weft_node_api, destroy)),
    STRUCT(weft_request_api, FIELD(weft_request_api, struct_size), FIELD(weft_request_api, reserved),
           FIELD(weft_request_api, input), FIELD(weft_request_api, parameters), FIELD(weft_request_api, emit),
           FIELD(weft_request_api, set_output), FIELD(weft_request_api, progress),
           FIELD(weft_request_api, cancelled), FIELD(weft_request_api, complete),
           FIELD(weft_request_api, resolve_input), FIELD(weft_request_api, begin_output),
           FIELD(weft_request_api, commit_output)),
    STRUCT(weft_team, FIELD(weft_team, struct_size), FIELD(weft_team, thread), FIELD(weft_team, n_threads),
           FIELD(weft_team, reserved), FIELD(weft_team, state), FIELD(weft_team, barrier)),
    STRUCT(weft_executor, FIELD(weft_executor, struct_size), FIELD(weft_executor, max_threads),
           FIELD(weft_executor, self), FIELD(weft_executor, run)),
    STRUCT(weft_host, FIELD(weft_host, struct_size), FIELD(weft_host, abi_version), FIELD(weft_host, self),
           FIELD(weft_host, memory), FIELD(weft_host, values), FIELD(weft_host, parameters),
           FIELD(weft_host, requests), FIELD(weft_host, executor), FIELD(weft_host, log),
           FIELD(weft_host, extension)),
    STRUCT(weft_port, FIELD(weft_port, struct_size), FIELD(weft_port, flags), FIELD(weft_port, name),
           FIELD(weft_port, type), FIELD(weft_port, help)),
    STRUCT(weft_parameter, FIELD(weft_parameter, struct_size), FIELD(weft_parameter, flags),
           FIELD(weft_parameter, name), FIELD(weft_parameter, type), FIELD(weft_parameter, default_json),
           FIELD(weft_parameter, minimum), FIELD(weft_parameter, maximum), FIELD(weft_parameter, choices),
           FIELD(weft_parameter, unit), FIELD(weft_parameter, help)),
    STRUCT(weft_node_type, FIELD(weft_node_type, struct_size), FIELD(weft_node_type, version),
           FIELD(weft_node_type, flags), FIELD(weft_node_type, reserved), FIELD(weft_node_type, name),
           FIELD(weft_node_type, help), FIELD(weft_node_type, inputs), FIELD(weft_node_type, n_inputs),
           FIELD(weft_node_type, outputs), FIELD(weft_node_type, n_outputs),
           FIELD(weft_node_type, parameters), FIELD(weft_node_type, n_parameters),
           FIELD(weft_node_type, api)),
    STRUCT(weft_plugin, FIELD(weft_plugin, struct_size), FIELD(weft_plugin, abi_version),
           FIELD(weft_plugin, name), FIELD(weft_plugin, version), FIELD(weft_plugin, license),
           FIELD(weft_plugin, help), FIELD(weft_plugin, nodes), FIELD(weft_plugin, n_nodes),
           FIELD(weft_plugin, models), FIELD(weft_plugin, n_models), FIELD(weft_plugin, extensions)),
    STRUCT(weft_packed_weights_api, FIELD(weft_packed_weights_api, struct_size),
           FIELD(weft_packed_weights_api, reserved), FIELD(weft_packed_weights_api, self),
           FIELD(weft_packed_weights_api, get), FIELD(weft_packed_weights_api, data),
           FIELD(weft_packed_weights_api, release)),
    STRUCT(weft_cores_api, FIELD(weft_cores_api, struct_size), FIELD(weft_cores_api, reserved),
           FIELD(weft_cores_api, self), FIELD(weft_cores_api, borrow), FIELD(weft_cores_api, give_back)),
    STRUCT(weft_known_files_api, FIELD(weft_known_files_api, struct_size),
           FIELD(weft_known_files_api, reserved), FIELD(weft_known_files_api, self),
           FIELD(weft_known_files_api, resolve)),
    STRUCT(weft_loading_api, FIELD(weft_loading_api, struct_size), FIELD(weft_loading_api, reserved),
           FIELD(weft_loading_api, self), FIELD(weft_loading_api, cancelled),
           FIELD(weft_loading_api, limit_bytes)),
    STRUCT(weft_run_record_api, FIELD(weft_run_record_api, struct_size), FIELD(weft_run_record_api, reserved),
           FIELD(weft_run_record_api, text)),
};

std::string layout() {
  std::ostringstream text;
  for (const Struct& type : kStructs) {
    text << type.name << " size " << type.size << " align " << type.alignment << "\n";
    for (const Field& field : type.fields) {
      text << "  " << field.offset << " " << field.name << " " << field.size << "\n";
    }
  }
  return text.str();
}

TEST(AbiLayout, IsTheRecordedOne) {
#ifndef __x86_64__
  GTEST_SKIP() << "skipped: recorded for x86-64 only";
#endif
  const char* path = "tests/abi/layout_x86_64.txt";
  if (std::getenv("WEFT_RECORD_LAYOUT") != nullptr) std::ofstream(path) << layout();
  std::ifstream file(path);
  const std::string recorded{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(layout(), recorded) << "if this change is meant, see docs/abi.md, then run this test once with "
                                   "WEFT_RECORD_LAYOUT=1 in the environment";
}

// A field that someone added to a header and not to the table above leaves a gap.
TEST(AbiLayout, TableNamesEveryField) {
  for (const Struct& type : kStructs) {
    size_t end = 0;
    for (const Field& field : type.fields) {
      EXPECT_LT(field.offset - end, type.alignment) << type.name << "." << field.name;
      end = field.offset + field.size;
    }
    EXPECT_LT(type.size - end, type.alignment) << "end of " << type.name;
  }
}

// struct_size is where the reader of any version looks first.
TEST(AbiLayout, EveryGrowingStructBeginsWithItsSize) {
  for (const Struct& type : kStructs) {
    const std::string name = type.name;
    if (name == "weft_device" || name == "weft_named_model") continue;  // these never grow
    EXPECT_STREQ(type.fields.at(0).name, "struct_size") << name;
    EXPECT_EQ(type.fields.at(0).size, 4u) << name;
  }
}

TEST(AbiLayout, VersionIsTheOneThatTheLayoutBelongsTo) { EXPECT_EQ(WEFT_ABI_VERSION, uint32_t{6}); }

}  // namespace
}  // namespace weft
